//! Paths, normalised once: as Envoy routes them, so that a rule and a route never mean different things.
//!
//! Guarantees: a path that [`normal`] gives has no empty or dot segments, no backslash and no escape of what need not be escaped,
//! and all escapes in upper case (RFC 3986 sections 6.2.2.1 to 6.2.2.3). What Envoy would have merged, removed or refused with the
//! settings that the compiler writes is refused here: it did not come through such an Envoy, and nobody knows what its upstream
//! makes of it. Escaped slashes are never slashes. Case is kept: paths that differ in it are different.

use std::borrow::Cow;

/// The path of a request, without its query, in its one form (RFC 3986 section 6.2.2); `None` if it has none, and no rule can say
/// what it means.
#[must_use]
pub fn normal(path: &str) -> Option<Cow<'_, str>> {
    let plain =
        !path.bytes().any(|byte| matches!(byte, b'%' | b'\\') || byte.is_ascii_control() || byte == b' ');
    let decoded = if plain { Cow::Borrowed(path) } else { Cow::Owned(decoded(path)?) };
    let mut segments = decoded.strip_prefix('/')?.split('/').peekable();
    while let Some(segment) = segments.next() {
        let last = segments.peek().is_none();
        if [".", ".."].contains(&segment) || (segment.is_empty() && !last) {
            return None;
        }
    }
    Some(decoded)
}

/// With escapes of unreserved characters (RFC 3986 section 2.3) decoded, and all others in upper case.
fn decoded(path: &str) -> Option<String> {
    let mut text = String::with_capacity(path.len());
    let (mut rest, mut strays) = (path, Vec::new());
    while let Some(character) = rest.chars().next() {
        let after = rest.get(character.len_utf8()..)?;
        if character != '%' {
            if character == '\\' || character == ' ' || character.is_control() {
                return None;
            }
            text.push(character);
            rest = after;
            continue;
        }
        let Some(digits) = after.get(..2).filter(|_| is_escape(rest)) else {
            // No escape: it stands for itself, here and in Envoy.
            strays.push(text.len());
            text.push('%');
            rest = after;
            continue;
        };
        let byte = u8::from_str_radix(digits, 16).ok()?;
        match byte {
            b'/' | b'\\' | 0..=0x1f | 0x7f => return None,
            _ if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) => text.push(char::from(byte)),
            _ => {
                text.push('%');
                text.push_str(&digits.to_ascii_uppercase());
            }
        }
        rest = after.get(2..)?;
    }
    // SECURITY: in `/%%36%31dmin` the first `%` is no escape, and what follows makes one of it: `/%61dmin`, which is `/admin` to an
    // upstream that decodes once more.
    let is_settled = strays.into_iter().all(|at| text.get(at..).is_some_and(|stray| !is_escape(stray)));
    is_settled.then_some(text)
}

/// Does an escape begin here?
fn is_escape(text: &str) -> bool {
    let digits = text.strip_prefix('%').and_then(|digits| digits.get(..2));
    digits.is_some_and(|digits| digits.bytes().all(|byte| byte.is_ascii_hexdigit()))
}

/// Is `path` this one or below it? `base` has no slash at its end.
pub(crate) fn is_below(path: &str, base: &str) -> bool {
    path.strip_prefix(base).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_have_one_form() {
        for (path, expected) in [
            ("/", Some("/")),
            ("/a/b", Some("/a/b")),
            ("/a/", Some("/a/")),
            ("/A", Some("/A")),
            ("/%61%2Db%7e", Some("/a-b~")),
            ("/caf%c3%a9", Some("/caf%C3%A9")),
            ("/a%20b%40", Some("/a%20b%40")),
            ("/100%", Some("/100%")),
            ("/%zz", Some("/%zz")),
            ("/%%41", Some("/%A")),
            ("/%2561dmin", Some("/%2561dmin")),
            ("/%%36%31dmin", None),
            ("/%6%31dmin", None),
            ("/%%38%31", None),
            ("/%25%32%66", Some("/%252f")),
            ("/...", Some("/...")),
            ("/a/.b", Some("/a/.b")),
            ("a", None),
            ("", None),
            ("//", None),
            ("//a", None),
            ("/a//b", None),
            ("/a/./b", None),
            ("/a/..", None),
            ("/a/%2e%2E/b", None),
            ("/a/.%2e", None),
            ("/a%2fb", None),
            ("/a%2Fb", None),
            ("/a%5cb", None),
            ("/a\\b", None),
            ("/a%00", None),
            ("/a%0d%0ab", None),
            ("/a b", None),
        ] {
            assert_eq!(normal(path).as_deref(), expected, "{path}");
        }
    }

    #[test]
    fn a_normal_path_is_normal() {
        for path in ["/%61", "/caf%c3%a9", "/%zz", "/%25%32%66", "/a/b/"] {
            let once = normal(path).unwrap();
            assert_eq!(normal(&once), Some(once.clone()), "{path}");
        }
    }

    #[test]
    fn below_ends_at_segments() {
        assert!(
            is_below("/a", "/a") && is_below("/a/", "/a") && is_below("/a/b", "/a") && is_below("/x", "")
        );
        assert!(!is_below("/ab", "/a") && !is_below("/", "/a") && !is_below("/A/b", "/a"));
    }
}
