//! A token for an admin client, which nobody polls, so that librdkafka's request for one would go unheard.

use std::error::Error;
use std::ffi::{CStr, CString};
use std::ptr;

use rdkafka::admin::AdminClient;
use rdkafka::bindings;

use crate::TokenSource;
use crate::context::{self, Asking};

/// Room for librdkafka's words.
const WORDS: usize = 512;

/// Gives one, which must last as long as the client is used.
pub(super) fn give(client: &AdminClient<Asking>, tokens: Option<&TokenSource>) -> Result<(), Box<dyn Error>> {
    let token = context::token(tokens)?;
    let (value, principal) = (CString::new(token.token)?, CString::new(token.principal_name)?);
    let mut words = [0; WORDS];
    #[allow(unsafe_code, reason = "rdkafka has no safe way to do this for an admin client")]
    // SAFETY: the client lives until the call returns, both texts end with a zero and are copied by librdkafka, no
    // extension is given, and what it writes to `words` is at most their length, with a zero at its end.
    let (code, why) = unsafe {
        let code = bindings::rd_kafka_oauthbearer_set_token(
            client.inner().native_ptr(),
            value.as_ptr(),
            token.lifetime_ms,
            principal.as_ptr(),
            ptr::null_mut(),
            0,
            words.as_mut_ptr(),
            words.len(),
        );
        (code, CStr::from_ptr(words.as_ptr()).to_string_lossy().into_owned())
    };
    if code == bindings::rd_kafka_resp_err_t::RD_KAFKA_RESP_ERR_NO_ERROR { Ok(()) } else { Err(why.into()) }
}
