//! What must hold of every SDK, whatever it speaks.

use std::sync::Arc;

use serde_json::Value as Json;
use veilwire_tests::demo::leak::Leaks;
use veilwire_tests::demo::values::{Value, masked};

use crate::stage::{Outcome, Scene, Script, Seen, Side, Stage};

/// Longest piece of a value that may be seen, and one byte.
const PIECE: usize = 6;

/// A conversation, without findings and with.
pub(crate) struct Play {
    /// Program of `tests/sdk`.
    pub(crate) program: &'static str,
    /// What the upstream answers when nothing is to be found.
    pub(crate) clean: Script,
    /// What it answers with values.
    pub(crate) planted: Script,
    /// What the SDK says of its own.
    pub(crate) said: &'static [Value],
    /// What the answers carry.
    pub(crate) answered: &'static [Value],
}

impl Play {
    /// Plays everything and checks it. `adjust` writes into the expected result what a mask changes besides the values.
    pub(crate) fn check(&self, adjust: impl FnOnce(&mut Json)) {
        let stage = Stage::shared().unwrap();
        let said = sentence(self.said);
        let scene = |name, side, text: &str, script: &Script| {
            let script = Arc::clone(script);
            Scene { name, side, text: text.to_owned(), script }
        };
        let scenes = [
            scene("clean", Side::Veilwire, "What is new today?", &self.clean),
            scene("clean", Side::Open, "What is new today?", &self.clean),
            scene("planted", Side::Veilwire, &said, &self.planted),
            scene("planted", Side::Open, &said, &self.planted),
            scene("masked", Side::Open, &masked(&said), &self.planted),
        ];
        let outcomes = stage.play(self.program, &scenes).unwrap();
        let [clean, clean_open, came, open, placeholders] = outcomes.as_slice() else {
            panic!("not every scene")
        };

        self.makes_no_difference(clean, clean_open);
        self.values_are_there(open);
        self.result_is_masked(came, open, adjust);
        self.nothing_leaks(came);
        self.requests_are_exact(came, placeholders);
        self.answers_on_the_wire(&stage, clean, came);
    }

    /// Without findings: not for the SDK, not for the upstream.
    fn makes_no_difference(&self, veilwire: &Outcome, open: &Outcome) {
        same_results(&veilwire.result, &open.result, &format!("{}: without findings", self.program));
        assert!(!open.requests.is_empty(), "{}: nothing reached the upstream", self.program);
        self.same_requests(&veilwire.requests, &open.requests, "without findings");
    }

    /// Otherwise the other checks would prove nothing.
    fn values_are_there(&self, open: &Outcome) {
        let result = open.result.to_string();
        for value in self.answered {
            assert!(result.contains(value.text), "{}: {} was not answered", self.program, value.name);
        }
        for value in self.said {
            let holds = |request: &Seen| {
                let body = request.plain().unwrap();
                body.windows(value.text.len()).any(|window| window == value.text.as_bytes())
            };
            assert!(open.requests.iter().any(holds), "{}: {} was not said", self.program, value.name);
        }
    }

    /// The SDK read to the end, and what it returns has placeholders in place of the values.
    fn result_is_masked(&self, came: &Outcome, open: &Outcome, adjust: impl FnOnce(&mut Json)) {
        let mut expected: Json = serde_json::from_str(&masked(&open.result.to_string())).unwrap();
        adjust(&mut expected);
        same_results(&came.result, &expected, &format!("{}: with values", self.program));
    }

    fn nothing_leaks(&self, came: &Outcome) {
        let leaks = self.leaks();
        assert_eq!(leaks.find(came.result.to_string().as_bytes()), None, "{}: the result", self.program);
        for request in &came.requests {
            let body = request.plain().unwrap();
            assert_eq!(leaks.find(&body), None, "{}: a request's body", self.program);
            let head = format!("{:?}{:?}", request.head, request.trailers);
            assert_eq!(leaks.find(head.as_bytes()), None, "{}: a request's head", self.program);
        }
    }

    /// The upstream gets, byte for byte, what it would have got had the SDK said the placeholders.
    fn requests_are_exact(&self, came: &Outcome, placeholders: &Outcome) {
        self.same_requests(&came.requests, &placeholders.requests, "with values");
    }

    fn same_requests(&self, veilwire: &[Seen], open: &[Seen], when: &str) {
        let paths = |requests: &[Seen]| requests.iter().map(|r| r.head.path.clone()).collect::<Vec<_>>();
        assert_eq!(paths(veilwire), paths(open), "{} {when}", self.program);
        for (one, other) in veilwire.iter().zip(open) {
            let shown = |seen: &Seen| seen.plain().unwrap().escape_ascii().to_string();
            assert_eq!(shown(one), shown(other), "{} {when}: a request's body", self.program);
            assert_eq!(one.trailers, other.trailers, "{} {when}: a request's trailers", self.program);
        }
    }

    /// Without findings a document's bytes are those of the upstream (in a stream, text may wait for the next event of its
    /// channel); with values no piece of one is among them.
    fn answers_on_the_wire(&self, stage: &Stage, clean: &Outcome, came: &Outcome) {
        for (number, request) in clean.requests.iter().enumerate() {
            let sent = (self.clean)(number, request).unwrap();
            let answer = stage.again(request, only(&self.clean, number)).unwrap();
            assert_eq!(answer.head.status, sent.head.status, "{}", self.program);
            if sent.head.header("content-type") == Some(b"application/json") {
                let shown = |body: &[u8]| body.escape_ascii().to_string();
                assert_eq!(shown(&answer.body), shown(&sent.body), "{}: an answer", self.program);
            }
        }
        let leaks = self.leaks();
        for (number, request) in came.requests.iter().enumerate() {
            let answer = stage.again(request, only(&self.planted, number)).unwrap();
            assert!((200..300).contains(&answer.head.status), "{}: {:?}", self.program, answer.head);
            assert_eq!(leaks.find(&answer.body), None, "{}: an answer on the wire", self.program);
            let head = format!("{:?}{:?}", answer.head, answer.trailers);
            assert_eq!(leaks.find(head.as_bytes()), None, "{}: its head and trailers", self.program);
        }
    }

    fn leaks(&self) -> Leaks {
        let values = self.said.iter().chain(self.answered);
        Leaks::of(PIECE, values.map(|value| (value.name, value.text.as_bytes())))
    }
}

/// The answer of this number to whatever comes.
fn only(script: &Script, number: usize) -> Script {
    let script = Arc::clone(script);
    Arc::new(move |_, seen| script(number, seen))
}

fn sentence(values: &[Value]) -> String {
    let values: Vec<&str> = values.iter().map(|value| value.text).collect();
    format!("Write to {} and then tell me more.", values.join(" or "))
}

/// Names the lines that differ.
fn same_results(came: &Json, expected: &Json, what: &str) {
    let lines = |json| -> Vec<String> {
        serde_json::to_string_pretty(json).unwrap().lines().map(str::to_owned).collect()
    };
    let (came, expected) = (lines(came), lines(expected));
    let differ: Vec<_> = came.iter().zip(&expected).filter(|(one, other)| one != other).take(5).collect();
    assert!(came == expected, "{what}: {} lines, expected {}: {differ:#?}", came.len(), expected.len());
}
