//! The certificate of the TLS listener: read at the start, and again whenever its files change.

use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use gateway::{Tls, TlsError};
use tokio_util::sync::CancellationToken;

use crate::command::Failure;
use crate::config::TlsConfig;

/// How often the files are looked at.
const LOOK: Duration = Duration::from_secs(1);

/// What a file held.
type Contents = Vec<u8>;

/// The two files, and what of them is in force or was found unusable.
pub(super) struct CertificateFiles {
    certificate: PathBuf,
    key: PathBuf,
    seen: (Contents, Contents),
}

impl CertificateFiles {
    /// Reads them.
    ///
    /// # Errors
    /// They can't be read or used, with the key of the configuration that names them.
    pub fn load(config: &TlsConfig) -> Result<(CertificateFiles, Tls), Failure> {
        let certificate = read("tls.certificate", &config.certificate)?;
        let key = read("tls.key", &config.key)?;
        let tls = Tls::new(&certificate, &key).map_err(|error| Failure::because("tls", &error))?;
        let (certificate_file, key_file) = (config.certificate.clone(), config.key.clone());
        Ok((CertificateFiles { certificate: certificate_file, key: key_file, seen: (certificate, key) }, tls))
    }

    /// Keeps `tls` as the files are, until `stop`. What can't be used is told once, and changes nothing.
    pub async fn watch(mut self, tls: Tls, stop: CancellationToken) {
        while stop.run_until_cancelled(tokio::time::sleep(LOOK)).await.is_some() {
            match self.look(&tls) {
                Ok(true) => tracing::info!("the TLS certificate was replaced"),
                Ok(false) => {}
                Err(error) => {
                    tracing::warn!(%error, "the new TLS certificate can't be used: the old one stays in force");
                }
            }
        }
    }

    /// Whether the files have changed, and are in force now. Files that can't be read just now are looked at
    /// again: somebody may be replacing them.
    fn look(&mut self, tls: &Tls) -> Result<bool, TlsError> {
        let read = |path: &Path| std::fs::read(path);
        let (Ok(certificate), Ok(key)) = (read(&self.certificate), read(&self.key)) else { return Ok(false) };
        if (&certificate, &key) == (&self.seen.0, &self.seen.1) {
            return Ok(false);
        }
        self.seen = (certificate, key);
        tls.replace(&self.seen.0, &self.seen.1).map(|()| true)
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
        };
        assert!(CertificateFiles::load(&config).is_err());
        let ((old, old_key), (new, new_key)) = (pair(), pair());
        write(&config, &old, &new_key);
        assert!(CertificateFiles::load(&config).is_err(), "the key is another certificate's");
        write(&config, &old, &old_key);
        let (mut files, tls) = CertificateFiles::load(&config).expect("a pair");
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
