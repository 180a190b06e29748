//! By which way a record came here from another deployment, so that it is never sent back there.

use crate::Offset;

/// Of a record that a mirror copied: the deployments that it has passed through, and where it stood in the first.
///
/// The topic is the same everywhere, so (first of the trail, topic, partition, offset) names a record for good.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Mirrored<'a> {
    /// Names of deployments in the order in which it passed through them, without the one that it is in; separated by
    /// commas, at most 255 bytes in all.
    pub trail: &'a str,
    /// Its partition in the first of them.
    pub partition: u32,
    /// Its offset there.
    pub offset: Offset,
}

impl<'a> Mirrored<'a> {
    /// The deployment that it comes from.
    pub fn city(&self) -> &'a str {
        self.trail.split(',').next().unwrap_or_default()
    }

    /// Whether it has been in that deployment.
    pub fn has_passed(&self, deployment: &str) -> bool {
        self.trail.split(',').any(|passed| passed == deployment)
    }
}
