//! The files of the TLS listener: read at the start, and again whenever they change.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::{Clock, Tls, TlsError};
use tokio_util::sync::CancellationToken;

use crate::command::Failure;
use crate::config::TlsConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_millis(500);

/// What a file held.
type Contents = Vec<u8>;

/// The files, and what of them is in force or was found unusable.
pub(super) struct CertificateFiles {
    groups: Vec<Group>,
}

/// Files that are replaced together; what is wrong with one group keeps no other back.
struct Group {
    what: &'static str,
    files: Vec<PathBuf>,
    seen: Vec<Contents>,
    replace: fn(&Tls, &[Contents]) -> Result<(), TlsError>,
}

impl CertificateFiles {
    /// Reads them.
    ///
    /// # Errors
    /// They can't be read or used, with the key of the configuration that names them.
    pub fn load(config: &TlsConfig, clock: Clock) -> Result<(CertificateFiles, Tls), Failure> {
        let unusable = |error| Failure::because("tls", &error);
        let certificate = read("tls.certificate", &config.certificate)?;
        let key = read("tls.key", &config.key)?;
        let tls = Tls::new(&certificate, &key).map_err(unusable)?;
        let mut groups = vec![Group {
            what: "certificate",
            files: vec![config.certificate.clone(), config.key.clone()],
            seen: vec![certificate, key],
            replace: |tls, files| tls.replace(&files[0], &files[1]),
        }];
        if let Some(clients) = &config.clients {
            let authorities = read("tls.clients.authorities", &clients.authorities)?;
            let revoked =
                clients.revoked.as_ref().map(|path| read("tls.clients.revoked", path)).transpose()?;
            tls.ask_clients(clients.rule.clone(), &authorities, revoked.as_deref(), clock)
                .map_err(unusable)?;
            groups.push(Group {
                what: "authorities",
                files: vec![clients.authorities.clone()],
                seen: vec![authorities],
                replace: |tls, files| tls.replace_authorities(&files[0]),
            });
            groups.extend(clients.revoked.clone().zip(revoked).map(|(file, revoked)| Group {
                what: "revocation list",
                files: vec![file],
                seen: vec![revoked],
                replace: |tls, files| tls.replace_revoked(&files[0]),
            }));
        }
        Ok((CertificateFiles { groups }, tls))
    }

    /// Keeps `tls` as the files are, until `stop`. What can't be used is told once, and changes nothing.
    pub async fn watch(mut self, tls: Tls, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            for group in &mut self.groups {
                let what = group.what;
                match group.look(&tls) {
                    Ok(true) => tracing::info!(what, "what TLS stands on was replaced"),
                    Ok(false) => {}
                    Err(error) => {
                        tracing::warn!(what, %error, "a new file of TLS can't be used: the old one stays in force");
                    }
                }
            }
        }
    }
}

impl Group {
    /// Whether the files have changed, and are in force now. Files that can't be read just now are looked at
    /// again: somebody may be replacing them.
    fn look(&mut self, tls: &Tls) -> Result<bool, TlsError> {
        let contents: io::Result<Vec<Contents>> = self.files.iter().map(std::fs::read).collect();
        match contents {
            Ok(contents) if contents != self.seen => self.seen = contents,
            _ => return Ok(false),
        }
        (self.replace)(tls, &self.seen).map(|()| true)
    }
}

fn read(key: &str, path: &Path) -> Result<Contents, Failure> {
    let contents: io::Result<Contents> = std::fs::read(path);
    contents.map_err(|error| Failure::because(format_args!("{key} = {path:?}"), &error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(config: &TlsConfig, certificate: &str, key: &str) {
        std::fs::write(&config.certificate, certificate).expect("a file in a folder of ours");
        std::fs::write(&config.key, key).expect("a file in a folder of ours");
    }

    fn pair() -> (String, String) {
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()]).expect("a certificate");
        (made.cert.pem(), made.signing_key.serialize_pem())
    }

    #[test]
    fn a_change_is_taken_up_once_and_a_bad_one_told_once() {
        let folder = tempfile::tempdir().expect("a folder");
        let config = TlsConfig {
            listen: "127.0.0.1:0".parse().expect("an address"),
            certificate: folder.path().join("certificate.pem"),
            key: folder.path().join("key.pem"),
            clients: None,
        };
        let load = || CertificateFiles::load(&config, crate::clock::shared());
        assert!(load().is_err());
        let ((old, old_key), (new, new_key)) = (pair(), pair());
        write(&config, &old, &new_key);
        assert!(load().is_err(), "the key is another certificate's");
        write(&config, &old, &old_key);
        let (files, tls) = load().expect("a pair");
        let [mut files] = <[Group; 1]>::try_from(files.groups).ok().expect("one group");
        assert!(matches!(files.look(&tls), Ok(false)));
        // Half of it is there.
        write(&config, &new, &old_key);
        assert!(files.look(&tls).is_err());
        assert!(matches!(files.look(&tls), Ok(false)));
        write(&config, &new, &new_key);
        assert!(matches!(files.look(&tls), Ok(true)));
        assert!(matches!(files.look(&tls), Ok(false)));
        std::fs::remove_file(&config.key).expect("it was there");
        assert!(matches!(files.look(&tls), Ok(false)));
    }
}
