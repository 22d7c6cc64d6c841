//! Calls of an exchange in any order: no byte of a body passes before a permit, none after a refusal, and no piece of a
//! planted value ever.
#![no_main]

use libfuzzer_sys::fuzz_target;
use std::sync::{Arc, LazyLock};
use veilwire_engine::decision::Direction;
use veilwire_engine::exchange::{
    BodyStep, CalloutId, CalloutReply, Event, Exchange, RequestHead, ResponseHead, Source, Step,
};
use veilwire_engine::host::HeadEdits;
use veilwire_engine::transport::TransportFacts;
use veilwire_fuzz::caller::{Credulous, NOW, good_token};
use veilwire_fuzz::input::Input;
use veilwire_fuzz::planted;
use veilwire_fuzz::policies::FULL;

const MAX_CALLS: usize = 64;
const CHUNKS: [&[u8]; 12] = [
    b"",
    b"{",
    b"}",
    b"{\"a\":\" ada.lovelace@example.com ",
    b" ada.lovelace@example.com \"}",
    b"[1,",
    b"2]",
    b"7",
    b"data: {\"choices\":[{\"index\":0,\"delta\":{\"content\":\"ada.lovelace@example.com \"}}]}\n\n",
    b"data: [DONE]\n\n",
    b"\n",
    b"\xFF\x00",
];

static AGENT: LazyLock<Vec<u8>> = LazyLock::new(|| [b"Bearer ".as_slice(), &good_token("agents")].concat());
static CONTRACTOR: LazyLock<Vec<u8>> =
    LazyLock::new(|| [b"Bearer ".as_slice(), &good_token("contractors")].concat());

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let downstream = facts(input.byte());
    let mut world = World {
        exchange: Exchange::new(Arc::clone(&FULL), downstream, NOW),
        permitted: false,
        answered: false,
        own_reply: false,
        refused: false,
        masked: true,
        callouts: Vec::new(),
        audits: 0,
    };
    for _ in 0..MAX_CALLS {
        if input.is_empty() {
            break;
        }
        world.call(&mut input);
    }
    world.exchange.finish();
    world.drain();
    assert_eq!(world.audits, 1, "not one audit event");
});

struct World {
    exchange: Exchange,
    /// The request was let through: by its head, or by a verdict.
    permitted: bool,
    /// A response head was let through.
    answered: bool,
    /// The response is the proxy's own, written before anything was asked of anybody.
    own_reply: bool,
    /// A refusal was given out.
    refused: bool,
    /// The route has a mask.
    masked: bool,
    /// Open questions to the approval service, with the digest that an answer must repeat.
    callouts: Vec<(CalloutId, String)>,
    audits: usize,
}

impl World {
    fn call(&mut self, input: &mut Input<'_>) {
        match input.byte() % 8 {
            0 => self.request_head(input),
            1 => self.response_head(input),
            2 | 3 => self.body(input),
            4 => self.end(input),
            5 => self.callout_reply(input),
            6 => {
                let later = NOW.saturating_add_millis(u64::from(input.byte()) * 1000);
                let step = self.exchange.deadline(later);
                self.judge(&step, false);
            }
            _ => match input.byte() % 4 {
                0 => {
                    let _ = self.exchange.host_failed(direction(input));
                    self.refused = true;
                }
                1 => {
                    let step = self.exchange.confirm_route(input.pick(&[
                        None,
                        Some(b"json".as_slice()),
                        Some(b"chat"),
                    ]));
                    self.judge(&step, false);
                }
                _ => self.drain(),
            },
        }
    }

    /// `lets_go`: this call may let the request go on.
    fn judge(&mut self, step: &Step, lets_go: bool) {
        match step {
            Step::Continue if lets_go => {
                assert!(!self.refused, "let through after a refusal");
                self.permitted = true;
            }
            Step::Continue | Step::Pause => {}
            Step::Reply(_) | Step::Abort => self.refused = true,
        }
    }

    fn request_head(&mut self, input: &mut Input<'_>) {
        let path = input.pick(&[
            b"/json".as_slice(),
            b"/chat",
            b"/messages",
            b"/strict",
            b"/open",
            b"/export",
            b"/x",
            b"x",
        ]);
        let method = input.pick(&[b"POST".as_slice(), b"POST", b"GET", b"HEAD"]);
        let content_type = input.pick(&[
            b"application/json".as_slice(),
            b"text/event-stream",
            b"text/plain",
            b"application/json;charset=utf-16",
        ]);
        let credential =
            input.pick(&[AGENT.as_slice(), AGENT.as_slice(), CONTRACTOR.as_slice(), b"Bearer x"]);
        let mut headers: Vec<(Vec<u8>, Vec<u8>)> = [
            (b":method".as_slice(), method),
            (b":authority", b"llm.test"),
            (b":path", path),
            (b"content-type", content_type),
            (b"authorization", credential),
        ]
        .map(|(name, value)| (name.to_vec(), value.to_vec()))
        .to_vec();
        if input.byte() % 4 == 0 {
            let length = usize::from(input.byte() % 16);
            let name = input.pick(&[
                b":path".as_slice(),
                b"x-request-id",
                b"content-encoding",
                b"x-veilwire-subject",
                b"te",
            ]);
            headers.push((name.to_vec(), input.take(length).to_vec()));
        }
        let end = input.byte() % 4 == 0;
        let mut edits = HeadEdits::default();
        let step =
            self.exchange.request_head(RequestHead { headers: &headers }, end, &mut edits, &Credulous, NOW);
        let admitted = step == Step::Continue;
        if admitted {
            assert!(
                edits.0.iter().any(|edit| format!("{edit:?}").contains("x-veilwire-decision")),
                "no decision header"
            );
            self.masked = path != b"/open";
        } else {
            assert!(edits.0.is_empty(), "edits without a permit");
        }
        self.judge(&step, true);
        self.drain();
    }

    fn response_head(&mut self, input: &mut Input<'_>) {
        let status = input.pick(&[b"200".as_slice(), b"200", b"204", b"206", b"304", b"503", b"x"]);
        let content_type = input.pick(&[b"application/json".as_slice(), b"text/event-stream", b"image/png"]);
        let headers =
            [(b":status".to_vec(), status.to_vec()), (b"content-type".to_vec(), content_type.to_vec())];
        let source = match input.byte() % 4 {
            0 => Source::Proxy,
            choice => Source::Upstream(facts(choice)),
        };
        let from_upstream = source != Source::Proxy;
        let end = input.byte() % 4 == 0;
        let mut edits = HeadEdits::default();
        let step = self.exchange.response_head(ResponseHead { headers: &headers, source }, end, &mut edits);
        if step == Step::Continue {
            assert!(!self.refused, "a response after a refusal");
            assert!(
                self.permitted || !from_upstream,
                "a response of an upstream that nobody was allowed to ask"
            );
            self.answered = true;
            self.own_reply = !from_upstream;
        }
        self.judge(&step, false);
    }

    fn body(&mut self, input: &mut Input<'_>) {
        let direction = direction(input);
        let chunk = input.pick(&CHUNKS);
        let mut out = Vec::new();
        let step = self.exchange.body(direction, chunk, &mut out);
        self.judge_body(direction, chunk, &step, &out);
    }

    fn end(&mut self, input: &mut Input<'_>) {
        let direction = direction(input);
        let mut out = Vec::new();
        let step = self.exchange.end(direction, &mut out);
        self.judge_body(direction, &[], &step, &out);
    }

    fn judge_body(&mut self, direction: Direction, chunk: &[u8], step: &BodyStep, out: &[u8]) {
        let may_pass = !self.refused
            && match direction {
                Direction::Request => self.permitted,
                Direction::Response => self.answered,
            };
        match step {
            BodyStep::Pass => {
                assert!(chunk.is_empty() || may_pass, "bytes passed as they were");
            }
            BodyStep::Emit | BodyStep::WriteBack => assert!(may_pass, "bytes were put out"),
            BodyStep::Reply(_) => {
                assert!(out.is_empty(), "bytes beside a reply");
                self.refused = true;
            }
            BodyStep::Cut { .. } => {
                assert!(out.is_empty() || may_pass, "an error event for nobody");
                self.refused = true;
            }
        }
        let inspected = direction == Direction::Request || !self.own_reply;
        if self.masked && inspected && may_pass {
            planted::check_piece_free("ada.lovelace@example.com", out, b"");
            if matches!(step, BodyStep::Pass) {
                planted::check_piece_free("ada.lovelace@example.com", chunk, b"");
            }
        }
    }

    fn callout_reply(&mut self, input: &mut Input<'_>) {
        let open = self.callouts.first().cloned().filter(|_| input.byte() % 4 != 0);
        let known = open.is_some();
        let (id, digest) = open.unwrap_or((CalloutId(9), "0".repeat(64)));
        let approve = input.byte() % 4 != 0;
        let digest = if input.byte() % 4 == 0 { "0".repeat(64) } else { digest };
        let status = input.pick(&[200, 200, 200, 500]);
        let body = match input.byte() % 8 {
            0 => b"x".to_vec(),
            1 => format!(r#"{{"approve":true,"digest":"{digest}","approve":true}}"#).into_bytes(),
            _ => format!(r#"{{"approve":{approve},"digest":"{digest}"}}"#).into_bytes(),
        };
        let exact = body == format!(r#"{{"approve":true,"digest":"{}"}}"#, self.wanted(id)).as_bytes();
        let failed = input.byte() % 8 == 0;
        let reply = if failed { CalloutReply::Failed } else { CalloutReply::Answer { status, body: &body } };
        let late = input.byte() % 8 == 0;
        let now = if late { NOW.saturating_add_millis(60_000) } else { NOW };
        let mut edits = HeadEdits::default();
        let step = self.exchange.callout_reply(id, reply, &mut edits, now);
        self.callouts.retain(|(open, _)| *open != id);
        // An answer that nobody waits for changes nothing.
        let lets_go = !edits.0.is_empty();
        assert!(
            !lets_go || known && exact && status == 200 && !failed && !late,
            "let through without a verdict"
        );
        self.judge(&step, lets_go);
    }

    fn wanted(&self, id: CalloutId) -> &str {
        self.callouts.iter().find(|(open, _)| *open == id).map_or("", |(_, digest)| digest)
    }

    fn drain(&mut self) {
        while let Some(event) = self.exchange.poll_event() {
            match event {
                Event::CalloutWanted { id, request, .. } => {
                    let question: serde_json::Value =
                        serde_json::from_slice(&request.body).expect("a question is JSON");
                    self.callouts
                        .push((id, question["digest"].as_str().expect("it has a digest").to_owned()));
                }
                Event::Audit(_) => self.audits += 1,
            }
        }
    }
}

fn direction(input: &mut Input<'_>) -> Direction {
    input.pick(&[Direction::Request, Direction::Response])
}

fn facts(choice: u8) -> TransportFacts {
    let version = match choice % 4 {
        3 => None,
        _ => Some("TLSv1.3".to_owned()),
    };
    TransportFacts { version, mtls: None, peer: None, source: None }
}
