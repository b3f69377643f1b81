//! What a key or a token may be used for.

use std::{fmt, str::FromStr};

use reelway_domain::{Failure, Reason};

/// One thing that a caller may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Scope {
    /// Look at uploads.
    UploadsRead,
    /// Create, write, complete and abort uploads, and sign grants for them.
    UploadsWrite,
    /// Look at jobs and watch progress.
    JobsRead,
    /// Create, cancel, retry and delete jobs.
    JobsWrite,
}

impl Scope {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::UploadsRead, Self::UploadsWrite, Self::JobsRead, Self::JobsWrite];

    /// The word for it in keys, tokens and on the command line.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::UploadsRead => "uploads:read",
            Self::UploadsWrite => "uploads:write",
            Self::JobsRead => "jobs:read",
            Self::JobsWrite => "jobs:write",
        }
    }

    fn bit(self) -> u8 {
        1 << self as u8
    }
}

impl fmt::Display for Scope {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Scope {
    type Err = Failure;

    fn from_str(word: &str) -> Result<Self, Failure> {
        let named = Self::ALL.into_iter().find(|scope| scope.as_str() == word);
        named.ok_or_else(|| {
            let known = Self::ALL.map(Self::as_str).join(", ");
            let message = format!("there is no such scope; use some of {known}");
            Failure::new(Reason::FieldInvalid, message).with("scope", word)
        })
    }
}

/// A set of scopes.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Scopes(u8);

impl Scopes {
    /// Every scope that there is.
    #[must_use]
    pub fn all() -> Self {
        Scope::ALL.into_iter().collect()
    }

    /// Whether the scope is in the set.
    #[must_use]
    pub fn contains(self, scope: Scope) -> bool {
        self.0 & scope.bit() != 0
    }

    /// The scopes in the set.
    pub fn iter(self) -> impl Iterator<Item = Scope> {
        Scope::ALL.into_iter().filter(move |scope| self.contains(*scope))
    }
}

impl FromIterator<Scope> for Scopes {
    fn from_iter<I: IntoIterator<Item = Scope>>(scopes: I) -> Self {
        Self(scopes.into_iter().fold(0, |bits, scope| bits | scope.bit()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_and_sets() {
        for scope in Scope::ALL {
            assert_eq!(scope.as_str().parse::<Scope>().unwrap(), scope);
            let only: Scopes = [scope].into_iter().collect();
            assert_eq!(only.iter().collect::<Vec<_>>(), [scope]);
        }
        assert_eq!(Scopes::all().iter().count(), 4);
        let wrong = "uploads".parse::<Scope>().unwrap_err();
        assert!(wrong.message.contains("uploads:write"), "{wrong}");
    }
}
