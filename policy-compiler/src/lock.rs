//! `policy.lock`: which content the packs of a policy had when somebody last looked.
//!
//! A version of a pack may gain detectors with a new compiler. With a lock beside the policy (`policy.yaml`, `policy.lock`)
//! that is an error until the lock is written again, so what a policy masks changes only in a commit. A line is
//! `secrets@1 sha256:…`; `#` begins a comment. A policy without a lock takes the packs as they are.

use crate::diagnostic::{Code, Diagnostic, Diagnostics};
use crate::files::{FileError, Files};
use crate::pack::Pack;
use crate::resolve::Resolved;
use std::collections::BTreeMap;
use std::path::Path;

/// Digests by pack reference.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Lock {
    digests: BTreeMap<String, String>,
}

/// A line of a lock that is not understood, from 1.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("line {0} is not `name@version sha256:digest`, or the pack is there twice")]
pub struct NotALock(pub usize);

impl Lock {
    /// The lock of these packs.
    pub fn of<'a>(packs: impl IntoIterator<Item = &'a Pack>) -> Lock {
        let digest = |pack: &Pack| (pack.reference.to_owned(), pack.digest.clone());
        Lock { digests: packs.into_iter().map(digest).collect() }
    }

    /// Reads a lock.
    ///
    /// # Errors
    /// [`NotALock`]
    pub fn parse(text: &str) -> Result<Lock, NotALock> {
        let mut lock = Lock::default();
        for (line, number) in text.lines().zip(1..) {
            let line = line.split('#').next().unwrap_or_default().trim();
            if line.is_empty() {
                continue;
            }
            let (reference, digest) = entry(line).ok_or(NotALock(number))?;
            if lock.digests.insert(reference.to_owned(), digest.to_owned()).is_some() {
                return Err(NotALock(number));
            }
        }
        Ok(lock)
    }

    /// The lock as a file.
    #[must_use]
    pub fn text(&self) -> String {
        let mut text = "# Written by `veilwire pack update`: the content of the packs that the policy was last checked with.\n".to_owned();
        for (reference, digest) in &self.digests {
            text.push_str(&format!("{reference} sha256:{digest}\n"));
        }
        text
    }

    /// The digest of a pack, if it is locked.
    #[must_use]
    pub fn digest(&self, reference: &str) -> Option<&str> {
        self.digests.get(reference).map(String::as_str)
    }
}

fn entry(line: &str) -> Option<(&str, &str)> {
    let (reference, digest) = line.split_once(char::is_whitespace)?;
    let digest = digest.trim_start().strip_prefix("sha256:")?;
    let hex = |byte: u8| matches!(byte, b'0'..=b'9' | b'a'..=b'f');
    (reference.contains('@') && digest.len() == 64 && digest.bytes().all(hex)).then_some((reference, digest))
}

/// Name of the lock of the policy with this name: beside it, with `.lock` in place of its extension.
#[must_use]
pub fn name_of(policy: &str) -> String {
    let stem = Path::new(policy).file_stem().and_then(|stem| stem.to_str()).unwrap_or("policy");
    format!("{stem}.lock")
}

/// Reports packs that are not what the lock says, if there is a lock.
pub(crate) fn check(policy: &str, resolved: &Resolved<'_>, files: &dyn Files, out: &mut Diagnostics) {
    let name = name_of(policy);
    let unreadable = |reason: String| Diagnostic::whole(Code::E0315, format!("`{name}`: {reason}"));
    let bytes = match files.read(&name) {
        Ok(bytes) => bytes,
        Err(FileError::Missing) => return,
        Err(error) => return out.push(unreadable(error.to_string())),
    };
    let lock = match String::from_utf8(bytes).map_err(|_| "not UTF-8".to_owned()) {
        Ok(text) => Lock::parse(&text).map_err(|error| error.to_string()),
        Err(reason) => Err(reason),
    };
    let lock = match lock {
        Ok(lock) => lock,
        Err(reason) => {
            return out.push(unreadable(reason).help("`veilwire pack update POLICY` writes it anew"));
        }
    };
    for import in &resolved.policy.packs {
        let Some(pack) = resolved.packs.iter().find(|pack| pack.reference == import.value) else { continue };
        let (message, label) = match lock.digest(pack.reference) {
            Some(digest) if digest == pack.digest => continue,
            Some(_) => (
                format!("pack `{}` is not what `{name}` says it was", import.value),
                "this compiler brings another content",
            ),
            None => (format!("pack `{}` is not in `{name}`", import.value), "imported since"),
        };
        out.push(
            Diagnostic::at(Code::E0314, import.span, message)
                .label(label)
                .help("look at what changed (`veilwire pack show`, `veilwire check`), then run `veilwire pack update POLICY`"),
        );
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_reads_what_it_writes() {
        let pack = Pack::load("openai@1").unwrap().unwrap();
        let lock = Lock::of([&pack]);
        assert_eq!(Lock::parse(&lock.text()), Ok(lock.clone()));
        assert_eq!(lock.digest("openai@1"), Some(pack.digest.as_str()));
        assert_eq!(lock.digest("openai@2"), None);
    }

    #[test]
    fn what_is_no_lock_is_named_by_its_line() {
        let good = format!("a@1 sha256:{}", "0".repeat(64));
        assert!(Lock::parse(&format!("# nothing\n\n{good} # a\r\n")).is_ok());
        for bad in ["a@1", "a sha256:00", "a@1 sha256:ZZ", &good.to_uppercase()] {
            assert_eq!(Lock::parse(&format!("{good}\n{bad}\n")), Err(NotALock(2)), "{bad}");
        }
        assert_eq!(Lock::parse(&format!("{good}\n{good}\n")), Err(NotALock(2)));
    }

    #[test]
    fn a_lock_lies_beside_its_policy() {
        assert_eq!(name_of("folder/policy.yaml"), "policy.lock");
        assert_eq!(name_of("team.policy.yaml"), "team.policy.lock");
    }
}
