//! Versions of a document's schema.

/// A version of a document's schema.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[repr(u8)]
pub enum SchemaVersion {
    /// Version 2.0.
    V2_0 = 0x20,
}

impl SchemaVersion {
    /// Every version that is served, the newest first.
    pub const ALL: &'static [Self] = &[Self::V2_0];

    /// The newest version.
    pub const NEWEST: Self = Self::V2_0;

    /// Returns the version as documents name it.
    pub const fn name(self) -> &'static str {
        match self {
            Self::V2_0 => "2.0",
        }
    }

    /// Returns the version that documents name so.
    pub fn parse(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|version| version.name() == name)
    }
}
