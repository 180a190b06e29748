//! OAUTHBEARER's tokens from a file that somebody keeps fresh: a pod's projected token, an agent of the identity
//! provider.

use std::error::Error;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use kafka::{Token, TokenSource};
use serde_json::Value;

/// Reads the file whenever a token is asked for.
pub(super) fn source(file: PathBuf) -> TokenSource {
    Arc::new(move || {
        let told = |error: Box<dyn Error>| format!("log.kafka.token_file = \"{}\": {error}", file.display());
        read(&file).map_err(|error| told(error).into())
    })
}

fn read(file: &Path) -> Result<Token, Box<dyn Error>> {
    parse(fs::read_to_string(file)?.trim())
}

/// Who a JSON Web Token (RFC 7519) speaks for, and until when. Whether that is true is for the brokers to judge.
fn parse(token: &str) -> Result<Token, Box<dyn Error>> {
    let claims = token.split('.').nth(1).ok_or("is no JSON Web Token")?;
    let claims: Value = serde_json::from_slice(&URL_SAFE_NO_PAD.decode(claims)?)?;
    let principal = claims["sub"].as_str().ok_or("the token has no claim `sub`")?.to_owned();
    let expires = claims["exp"].as_f64().ok_or("the token has no claim `exp`")?;
    Ok(Token { token: token.to_owned(), principal, expires_ms: (expires * 1000.0) as i64 })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_token_tells_whose_it_is_and_until_when() {
        let claims = URL_SAFE_NO_PAD.encode(r#"{"sub":"gateway-1","exp":1800000000}"#);
        let token = parse(&format!("e30.{claims}.")).expect("it is one");
        assert_eq!((token.principal.as_str(), token.expires_ms), ("gateway-1", 1_800_000_000_000));
        for broken in ["", "secret", "e30.e30.", "e30.%.x"] {
            assert!(parse(broken).is_err(), "{broken}");
        }
    }
}
