//! What a log remembers beside its records, by key.

/// A change to what is remembered. Those of one append are carried out in their order, and are durable together with its
/// records or not at all. Keys and values are bytes of whoever notes them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Note {
    /// From now on this value stands under the key.
    Put {
        /// Under what.
        key: Vec<u8>,
        /// What.
        value: Vec<u8>,
    },
    /// The same, and a mark of the append: when the key has that very value already, the append was carried out before,
    /// and nothing of it is done again. So an append that was answered by an error can be offered once more.
    Claim {
        /// Under what.
        key: Vec<u8>,
        /// A value that no other append gives that key.
        value: Vec<u8>,
    },
    /// Nothing stands under the key any more.
    Remove {
        /// Which.
        key: Vec<u8>,
    },
    /// The same, when this value stands there.
    RemoveSame {
        /// Which.
        key: Vec<u8>,
        /// What stood there when it was decided.
        value: Vec<u8>,
    },
    /// Nothing stands any more under the keys that begin like this.
    RemoveUnder {
        /// With what they begin; not empty.
        prefix: Vec<u8>,
    },
}

impl Note {
    /// Bytes of key and value.
    pub fn len(&self) -> usize {
        match self {
            Note::Put { key, value } | Note::Claim { key, value } | Note::RemoveSame { key, value } => {
                key.len() + value.len()
            }
            Note::Remove { key } => key.len(),
            Note::RemoveUnder { prefix } => prefix.len(),
        }
    }

    /// Whether it holds no bytes at all.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }
}

/// What is remembered under keys that begin alike.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Noted {
    /// Keys and values, in the order of the keys.
    pub pairs: Vec<(Vec<u8>, Vec<u8>)>,
    /// Keys whose value is not as it was written.
    pub damaged: Vec<Vec<u8>>,
}
