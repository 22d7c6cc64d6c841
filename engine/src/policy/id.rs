//! Ids of the compiled policy: positions in the tables of one [`Model`](super::model::Model).
//!
//! INVARIANT: after `Policy::new` every id stored in a policy is smaller than the length of its table.

use serde::{Deserialize, Serialize};

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident)*) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub u16);

        impl $name {
            /// The position in the table, as an index.
            #[must_use]
            pub fn index(self) -> usize {
                usize::from(self.0)
            }
        }
    )*};
}

ids! {
    /// A rule (`spec.rules`).
    RuleId
    /// A route (`spec.routes`), in order of specificity.
    RouteId
    /// A mask (`spec.masks`).
    MaskId
    /// A key of replacements (`spec.keys`).
    KeyId
    /// A tag of the taxonomy (`spec.tags`).
    TagId
    /// A detector: the pattern of a pack or of the policy.
    DetectorId
    /// A group (`spec.groups`).
    GroupId
    /// An identity provider (`spec.identity`).
    ProviderId
    /// A claim that rules look at.
    ClaimId
    /// A content: channels and never-touch paths of one API (`openai.chat`).
    ContentId
}
