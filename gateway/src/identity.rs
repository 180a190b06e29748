//! Who may connect: the registry as the running gateway knows it.

use crate::registry::{Bearer, check_token};
use crate::tls::Certified;
use crate::{Clock, Directory, Entry, GatewayError, RegistryError, Role};
use records::{Crs, Device, Name, Timestamp};
use rustc_hash::{FxHashMap, FxHasher};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use tokio::sync::Semaphore;

/// Registry entries in memory, and the passwords that were right before.
pub(crate) struct Roster {
    directory: Arc<dyn Directory>,
    clock: Clock,
    known: Mutex<Known>,
    /// Bounds how many passwords are hashed at once: a storm of wrong ones must not take the machine.
    verifications: Semaphore,
    /// Keys the digests of verified passwords, anew in each process.
    key: [u8; 32],
}

#[derive(Default)]
struct Known {
    entries: FxHashMap<Name, Arc<Entry>>,
    /// Digest of the credential and the password that was right for it.
    verified: FxHashMap<Name, [u8; 32]>,
    /// Every change up to this revision is in `entries`.
    revision: u64,
}

/// Why somebody may not connect. Bounded: it is a metrics label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Denial {
    /// Unknown device, wrong password, or none: not told apart toward the client.
    Credentials,
    /// The password is right, and the device is disabled.
    Disabled,
    /// The registry can't be asked.
    Unavailable,
}

/// A device that has proved itself.
#[derive(Clone, Debug)]
pub(crate) struct Proven {
    pub device: Device,
    pub role: Role,
    /// The system of the positions that it states.
    pub crs: Crs,
    /// Identifies what it was proved by; see [`Roster::holds`].
    pub fingerprint: u64,
    /// When a bearer token or a certificate is void, and the session with it.
    pub until: Option<Timestamp>,
}

/// By what somebody has proved itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
enum Means {
    /// A password, or a token that hangs on it.
    Password,
    /// A certificate.
    Certificate,
}

impl Roster {
    pub(crate) fn new(
        directory: Arc<dyn Directory>,
        clock: Clock,
        verifications: usize,
    ) -> Result<Roster, GatewayError> {
        let mut key = [0; 32];
        getrandom::fill(&mut key).map_err(GatewayError::Randomness)?;
        let verifications = Semaphore::new(verifications.max(1));
        Ok(Roster { directory, clock, known: Mutex::default(), verifications, key })
    }

    /// Whether `password` is the device's, or a bearer token of it. A password that was right before costs a hash of SHA-256; any other
    /// goes to the registry, so that an entry made a moment ago works at once.
    pub(crate) async fn prove(&self, id: &str, password: &str) -> Result<Proven, Denial> {
        if !firmware_protocol::is_device_id(id) {
            return Err(Denial::Credentials);
        }
        if let Some(entry) = self.verified_before(id, password) {
            return admit(&entry, Means::Password, None);
        }
        let _turn = self.verifications.acquire().await.map_err(|_| Denial::Unavailable)?;
        let (entry, until) = self.verify(id, password).await?;
        let mut known = self.known();
        if until.is_none() {
            known.verified.insert(entry.device.id.clone(), self.digest(&entry, password));
        }
        known.put(entry.clone());
        drop(known);
        admit(&entry, Means::Password, until)
    }

    /// Whether a certificate's holder may come in. A user name needs not be sent, and can't be another's.
    pub(crate) async fn prove_by_certificate(
        &self,
        user: Option<&str>,
        certified: &Certified,
    ) -> Result<Proven, Denial> {
        let name = certified.name.as_ref().filter(|name| user.is_none_or(|user| *name == user));
        let name = name.filter(|_| (self.clock)() < certified.until).ok_or(Denial::Credentials)?;
        let known = self.known().entries.get(name).cloned();
        let entry = match known {
            Some(entry) => entry,
            None => {
                let entry = self.look_up(name.clone()).await?;
                self.known().put(entry.clone());
                entry
            }
        };
        admit(&entry, Means::Certificate, Some(certified.until))
    }

    /// Whether a session of `id` may go on that was proved by what has this fingerprint.
    pub(crate) fn holds(&self, id: &str, proven: u64) -> bool {
        let entry = self.known().entries.get(id).cloned();
        entry.is_some_and(|entry| {
            let is_held = |means| fingerprint(&entry, means) == proven;
            entry.device.is_enabled && (is_held(Means::Password) || is_held(Means::Certificate))
        })
    }

    /// Whether an identity may subscribe to a valid filter.
    pub(crate) fn may_subscribe(&self, id: &str, filter: &str) -> bool {
        let entry = self.known().entries.get(id).cloned();
        entry.is_some_and(|entry| entry.device.is_enabled && entry.role.may_subscribe(id, filter))
    }

    /// Takes over what has changed in the registry since the last call, and returns it. Blocks.
    pub(crate) fn refresh(&self) -> Result<Vec<Arc<Entry>>, RegistryError> {
        let since = self.known().revision;
        let changed: Vec<_> = self.directory.changed_since(since)?.into_iter().map(Arc::new).collect();
        let mut known = self.known();
        for entry in &changed {
            known.revision = known.revision.max(entry.revision);
            known.put(entry.clone());
        }
        Ok(changed)
    }

    fn verified_before(&self, id: &str, password: &str) -> Option<Arc<Entry>> {
        let (entry, verified) = {
            let known = self.known();
            (known.entries.get(id)?.clone(), *known.verified.get(id)?)
        };
        // Equality need not take constant time: nobody outside can compute a digest that shares a prefix.
        (self.digest(&entry, password) == verified).then_some(entry)
    }

    async fn verify(&self, id: &str, password: &str) -> Result<(Arc<Entry>, Option<Timestamp>), Denial> {
        let now = (self.clock)();
        let (directory, id, password) = (self.directory.clone(), Name::new(id), password.to_owned());
        let verify = move || match directory.look_up(&id) {
            Ok(Some(entry)) => match check_token(&id, &entry.credential, &password, now) {
                Bearer::Until(until) => Ok((Arc::new(entry), Some(until))),
                Bearer::NoToken if entry.credential.matches(&password) => Ok((Arc::new(entry), None)),
                Bearer::NoToken | Bearer::Wrong => Err(Denial::Credentials),
            },
            Ok(None) => Err(Denial::Credentials),
            Err(error) => Err(unavailable(&error)),
        };
        tokio::task::spawn_blocking(verify).await.unwrap_or(Err(Denial::Unavailable))
    }

    async fn look_up(&self, id: Name) -> Result<Arc<Entry>, Denial> {
        let directory = self.directory.clone();
        let look_up = move || match directory.look_up(&id) {
            Ok(entry) => entry.map(Arc::new).ok_or(Denial::Credentials),
            Err(error) => Err(unavailable(&error)),
        };
        tokio::task::spawn_blocking(look_up).await.unwrap_or(Err(Denial::Unavailable))
    }

    /// The credential is part of it, so a new password makes the old digest worthless.
    fn digest(&self, entry: &Entry, password: &str) -> [u8; 32] {
        let mut hasher = Sha256::new();
        hasher.update(self.key);
        for part in [entry.device.id.as_str(), entry.credential.as_str(), password] {
            hasher.update((part.len() as u64).to_le_bytes());
            hasher.update(part);
        }
        hasher.finalize().into()
    }

    fn known(&self) -> MutexGuard<'_, Known> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Known {
    /// An entry that was looked up may be newer than the last refresh, and must not be set back by it.
    fn put(&mut self, entry: Arc<Entry>) {
        let is_newer = |held: &Arc<Entry>| held.revision < entry.revision;
        if self.entries.get(&entry.device.id).is_none_or(is_newer) {
            self.entries.insert(entry.device.id.clone(), entry);
        }
    }
}

fn unavailable(error: &RegistryError) -> Denial {
    tracing::warn!(%error, "the device registry can't be asked");
    Denial::Unavailable
}

fn admit(entry: &Entry, means: Means, until: Option<Timestamp>) -> Result<Proven, Denial> {
    if entry.device.is_enabled {
        Ok(Proven {
            device: entry.device.clone(),
            role: entry.role.clone(),
            crs: entry.crs,
            fingerprint: fingerprint(entry, means),
            until,
        })
    } else {
        Err(Denial::Disabled)
    }
}

/// Of the credential and of what it gives a right to: when either changes, the sessions under it are over. A certificate
/// is not the registry's, and doesn't change with a password.
fn fingerprint(entry: &Entry, means: Means) -> u64 {
    let mut hasher = FxHasher::default();
    means.hash(&mut hasher);
    if means == Means::Password {
        entry.credential.as_str().hash(&mut hasher);
    }
    entry.role.hash(&mut hasher);
    hasher.finish()
}
