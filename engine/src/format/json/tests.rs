use super::*;
use crate::policy::path::{PathPattern, PathStep};

/// Writes down what it sees.
#[derive(Default)]
struct Scribe {
    /// Every byte as it was written.
    raw: Vec<u8>,
    /// Strings, keys and scalars, decoded; a state where a path ends.
    seen: Vec<String>,
    text: Vec<u8>,
    /// Which tokens to glide over: a bit for each that is asked for, taken in turn.
    glides: u16,
}

impl Scribe {
    fn see(&mut self, kind: &str, place: Place<'_>) {
        let text = String::from_utf8_lossy(&std::mem::take(&mut self.text)).into_owned();
        self.seen.push(format!("{}{kind} {text}", "-".repeat(place.frames.len())));
    }
}

impl Visit for Scribe {
    type Error = std::convert::Infallible;

    fn blank(&mut self, text: &[u8], raw: &[u8]) -> Result<(), Self::Error> {
        assert!(text.len() == raw.len() || text.len() == 1);
        self.raw.extend_from_slice(raw);
        Ok(())
    }

    fn mark(&mut self, raw: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        Ok(())
    }

    fn enter(&mut self, place: Place<'_>, array: bool, raw: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        self.see(if array { "[" } else { "{" }, place);
        Ok(())
    }

    fn leave(&mut self, place: Place<'_>, raw: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        self.see("end", place);
        Ok(())
    }

    fn string(&mut self, place: Place<'_>, key: bool, raw: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        self.see(if key { "key" } else { "string" }, place);
        Ok(())
    }

    fn text(&mut self, _place: Place<'_>, run: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(run);
        self.text.extend_from_slice(run);
        Ok(())
    }

    fn cell(&mut self, _place: Place<'_>, raw: &[u8], text: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        self.text.extend_from_slice(text);
        Ok(())
    }

    fn string_end(&mut self, place: Place<'_>, raw: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        self.see("text", place);
        Ok(())
    }

    fn scalar(&mut self, _: Place<'_>, part: ScalarPart, text: &[u8], raw: &[u8]) -> Result<(), Self::Error> {
        assert_eq!(part.first, self.text.is_empty());
        self.raw.extend_from_slice(raw);
        self.text.extend_from_slice(text);
        Ok(())
    }

    fn scalar_end(&mut self, place: Place<'_>, kind: Scalar) -> Result<(), Self::Error> {
        self.see(if kind == Scalar::Number { "number" } else { "literal" }, place);
        Ok(())
    }

    fn known_key(&mut self, _: Place<'_>, _: NameId, _: &[u8]) -> Result<bool, Self::Error> {
        Ok(false)
    }

    fn may_glide(&self) -> bool {
        self.glides != 0
    }

    /// Where it says yes it writes down what the walk would have told it piece by piece.
    fn plain(&mut self, place: Place<'_>, token: Plain<'_>) -> bool {
        let yes = self.glides & 1 == 1;
        self.glides = self.glides.rotate_right(1);
        if !yes {
            return false;
        }
        let (before, text, kind) = match token {
            Plain::Enter => ("", &b""[..], "{"),
            Plain::Leave => ("", &b""[..], "end"),
            Plain::Key(_, text) => ("key", text, "text"),
            Plain::String(text) => ("string", text, "text"),
            Plain::Number(text) => ("", text, "number"),
            Plain::Literal(text) => ("", text, "literal"),
        };
        if !before.is_empty() {
            self.see(before, place);
        }
        self.text.extend_from_slice(text);
        self.see(kind, place);
        true
    }

    fn through(&mut self, raw: &[u8]) -> Result<(), Self::Error> {
        self.raw.extend_from_slice(raw);
        Ok(())
    }
}

fn walk(chunks: &[&[u8]]) -> Result<Scribe, Stop<std::convert::Infallible>> {
    walk_gliding(chunks, 0)
}

fn walk_gliding(chunks: &[&[u8]], glides: u16) -> Result<Scribe, Stop<std::convert::Infallible>> {
    let pattern: PathPattern = "$.name.x[*]".parse().unwrap();
    let steps: &[PathStep] = pattern.steps();
    let paths = Paths::new(&[steps], []).unwrap();
    let mut walker = Walker::new(StateId::ROOT, 64, Follow::Lines);
    let mut scribe = Scribe { glides, ..Scribe::default() };
    for chunk in chunks {
        walker.run(chunk, &paths, &mut scribe)?;
    }
    walker.end(&mut scribe)?;
    Ok(scribe)
}

/// The same bytes, each as a cell of an outer layer that writes `b` as `<b>`.
fn walk_cells(text: &[u8]) -> Result<Scribe, Stop<std::convert::Infallible>> {
    let paths = Paths::new(&[], []).unwrap();
    let mut walker = Walker::new(StateId::ROOT, 64, Follow::Lines);
    let mut scribe = Scribe::default();
    for &byte in text {
        walker.cell(&[b'<', byte, b'>'], &[byte], &paths, &mut scribe)?;
    }
    walker.end(&mut scribe)?;
    Ok(scribe)
}

const DOCUMENTS: [&str; 9] = [
    "\u{FEFF} {\"name\" : {\"x\":[1, -2.50e+07,\"\\u0061\\n\"]} , \"\":null}\r\n",
    "{\"n\\u0061me\":{\"x\":[[],{}]},\"name\":true}",
    "[\"\\ud83d\\ude00\",\"\\ud83d\",\"\\ude00\",\"\\ud83dx\",\"\\ud83d\\n\",\"\\ud83d\\ud83d\\ude00\",\"\\ud83d\\u0041\"]",
    "[\"\\\"\\\\\\/\\b\\f\\n\\r\\t\", \"\u{e9}\u{1F600}\u{7f}\"]",
    "0",
    "-1e5 ",
    "\"x\"\n[1]\n\n2\n",
    "[false,[[[]]],{\"a\":{\"a\":{}}}]",
    "  \"\"",
];

#[test]
fn every_byte_is_handed_on_as_it_was_written_however_it_is_cut() {
    for document in DOCUMENTS {
        let bytes = document.as_bytes();
        let whole = walk(&[bytes]).unwrap();
        assert_eq!(whole.raw, bytes, "{document}");
        for at in 0..=bytes.len() {
            let (head, tail) = bytes.split_at(at);
            let parts = walk(&[head, tail]).unwrap();
            assert_eq!(
                (parts.raw, parts.seen),
                (whole.raw.clone(), whole.seen.clone()),
                "{document} cut at {at}"
            );
        }
        let single: Vec<&[u8]> = bytes.chunks(1).collect();
        let parts = walk(&single).unwrap();
        assert_eq!(
            (parts.raw, parts.seen),
            (whole.raw.clone(), whole.seen.clone()),
            "{document} byte by byte"
        );
    }
}

/// Which tokens are passed over at once changes neither what is written, nor what is seen, nor what is refused.
#[test]
fn gliding_changes_nothing() {
    let refused = [
        "[1,]",
        "{\"a\":1 2}",
        "[1 \"x\"]",
        "[\"a\" 1]",
        "{\"a\":{\"b\":1]}",
        "[[1}]",
        "[1,\"a",
        "{\"a\":tru}",
    ];
    let dense = r#"{"name":{"x":[1,2 ,"a",{"k":"v"},[] ,{}, null,-0.5e3]},"b":[{"c":"d"},"e\n",1]}"#;
    for document in DOCUMENTS.into_iter().chain([dense]).chain(refused) {
        let bytes = document.as_bytes();
        let slow = walk(&[bytes]);
        for glides in [u16::MAX, 0x5555, 0x3333, 0xFFFE, 0x7FFF, 0x1234, 0xF0F0] {
            for at in 0..=bytes.len() {
                let (head, tail) = bytes.split_at(at);
                let fast = walk_gliding(&[head, tail], glides);
                match (&slow, fast) {
                    (Ok(slow), Ok(fast)) => {
                        let plain = |seen: &[String]| -> Vec<String> {
                            seen.iter().map(|line| line.replace("[ ", "{ ")).collect()
                        };
                        assert_eq!(fast.raw, slow.raw, "{document} cut at {at}");
                        assert_eq!(plain(&fast.seen), plain(&slow.seen), "{document} cut at {at}");
                    }
                    (Err(_), Err(_)) => {}
                    (slow, _) => panic!("{document} cut at {at}: {}", slow.is_ok()),
                }
            }
        }
    }
}

#[test]
fn an_outer_layer_changes_what_is_written_and_not_what_is_seen() {
    for document in DOCUMENTS {
        let plain = walk(&[document.as_bytes()]).unwrap();
        let cells = walk_cells(document.as_bytes()).unwrap();
        assert_eq!(cells.seen, plain.seen, "{document}");
        let wrapped: Vec<u8> = document.bytes().flat_map(|byte| [b'<', byte, b'>']).collect();
        assert_eq!(cells.raw, wrapped);
    }
}

#[test]
fn strings_are_decoded() {
    for (document, text) in [
        (r#""\u0041\u00e9\u6f22\ud83d\ude00""#, "A\u{e9}\u{6f22}\u{1F600}".as_bytes()),
        (r#""\"\\\/\b\f\n\r\t""#, b"\"\\/\x08\x0C\n\r\t"),
        (r#""\ud83d""#, b"\xED\xA0\xBD"),
        (r#""\ud83d\ud83d\ude00\ude00""#, b"\xED\xA0\xBD\xF0\x9F\x98\x80\xED\xB8\x80"),
        (r#""\uD83D\u0041x""#, b"\xED\xA0\xBDAx"),
    ] {
        let lossy = String::from_utf8_lossy(text);
        for scribe in [walk(&[document.as_bytes()]), walk_cells(document.as_bytes())] {
            assert_eq!(scribe.unwrap().seen, ["string ".to_owned(), format!("text {lossy}")], "{document}");
        }
    }
}

#[test]
fn what_is_no_json_stops_at_its_first_byte() {
    for (document, taken) in [
        ("[1,]", 3),
        ("{\"a\" 1}", 5),
        ("{a", 1),
        ("[01]", 2),
        ("[1.e5]", 3),
        ("nul]", 3),
        ("[\"\\x\"]", 3),
        ("[\"\\u00g0\"]", 6),
        ("[\"\\ud83d\\u00g", 12),
        ("[\"a\u{1}\"]", 3),
        ("{} {}", 3),
        ("\u{FEFF}\u{FEFF}1", 3),
        ("]", 0),
        ("[}", 1),
        ("{\"a\":1]", 6),
    ] {
        assert_eq!(walk(&[document.as_bytes()]).err(), Some(Stop::Syntax { taken }), "{document}");
        assert!(walk_cells(document.as_bytes()).is_err(), "{document}");
    }
    assert_eq!(walk(&["[".repeat(65).as_bytes()]).err(), Some(Stop::TooDeep));
    for cut in ["", "[", "\"", "{\"a\"", "-", "1.", "tru", "\u{FEFF}", " "] {
        assert!(walk(&[cut.as_bytes()]).is_err(), "{cut:?}");
    }
}
