//! Pseudonyms: the upstream sees tokens, the client gets its values back.

use super::mask_support::{DETECTORS, Random, content, detectors, patterns, tags};
use std::sync::{Arc, OnceLock};
use veilwire_engine::compile::{Pattern, build, token_pattern};
use veilwire_engine::decision::Direction;
use veilwire_engine::format::Format;
use veilwire_engine::mask::detector::DetectorSet;
use veilwire_engine::mask::{MaskError, MaskPlan, Masker, Pseudonyms};
use veilwire_engine::policy::id::{DetectorId, MaskId, TagId};
use veilwire_engine::policy::model::*;

const TOKEN: u16 = DETECTORS.len() as u16;

fn all_detectors() -> Vec<Detector> {
    let mut all = detectors();
    all.push(Detector { name: "pseudonym:EMAIL".into(), tag: TagId(0), validator: None });
    all
}

fn set() -> Arc<DetectorSet> {
    static SET: OnceLock<Arc<DetectorSet>> = OnceLock::new();
    Arc::clone(SET.get_or_init(|| {
        let mut patterns = patterns();
        patterns.push(Pattern {
            detector: DetectorId(TOKEN),
            regex: token_pattern("EMAIL"),
            ..Pattern::default()
        });
        Arc::new(DetectorSet::new(build(&patterns, 512).unwrap().automata, &all_detectors()).unwrap())
    }))
}

struct Exchange {
    name: Option<&'static str>,
    limits: Limits,
    thinking: Thinking,
    table: Pseudonyms,
}

impl Exchange {
    fn new() -> Exchange {
        Exchange {
            name: None,
            limits: Limits::default(),
            thinking: Thinking::Refuse,
            table: Pseudonyms::default(),
        }
    }

    fn of(name: &'static str) -> Exchange {
        Exchange { name: Some(name), ..Exchange::new() }
    }

    fn plan(&self, direction: Direction) -> Arc<MaskPlan> {
        let mut tags = tags();
        tags[0].replacement =
            Replacement::Pseudonym(Pseudonym { name: "EMAIL".into(), otherwise: "[EMAIL]".into() });
        let mask = Mask {
            name: "all".into(),
            detectors: (0..TOKEN).map(DetectorId).collect(),
            request_body: true,
            response_body: true,
            fields: vec![Field { tag: TagId(0), at: "$.who".parse().unwrap() }],
            tokens: vec![DetectorId(TOKEN)],
            ..Mask::default()
        };
        let content = self.name.map(content);
        let masks = [(MaskId(0), &mask)];
        let (set, all) = (set(), all_detectors());
        let plan =
            MaskPlan::new(set, &all, &tags, &masks, content.as_ref(), direction, self.thinking, &self.limits);
        Arc::new(plan.unwrap())
    }

    fn send<'c>(
        &self,
        direction: Direction,
        format: Format,
        chunks: impl IntoIterator<Item = &'c [u8]>,
    ) -> Result<String, MaskError> {
        let mut masker = Masker::new(self.plan(direction), format).sharing(&self.table, direction);
        let mut out = Vec::new();
        for chunk in chunks {
            masker.write(chunk, &mut out)?;
        }
        masker.end(&mut out)?;
        Ok(String::from_utf8(out).unwrap())
    }

    /// The same however it is cut.
    fn request(&self, format: Format, body: &str) -> String {
        let fresh = self.table.is_empty();
        let whole = self.send(Direction::Request, format, [body.as_bytes()]).unwrap();
        for at in 0..=body.len() {
            let (head, tail) = body.as_bytes().split_at(at);
            let table = if fresh { Pseudonyms::default() } else { self.table.clone() };
            let again = Exchange { table, limits: self.limits.clone(), ..*self };
            assert_eq!(again.send(Direction::Request, format, [head, tail]).unwrap(), whole, "split at {at}");
        }
        whole
    }

    /// The same however it is cut.
    fn response(&self, format: Format, body: &str) -> String {
        let plan = self.plan(Direction::Response);
        let send = |chunks: Vec<&[u8]>| {
            let mut masker = Masker::new(Arc::clone(&plan), format).sharing(&self.table, Direction::Response);
            let mut out = Vec::new();
            chunks.into_iter().for_each(|chunk| masker.write(chunk, &mut out).unwrap());
            masker.end(&mut out).unwrap();
            String::from_utf8(out).unwrap()
        };
        let whole = send(vec![body.as_bytes()]);
        for at in 0..=body.len() {
            let (head, tail) = body.as_bytes().split_at(at);
            assert_eq!(send(vec![head, tail]), whole, "split at {at}");
        }
        assert_eq!(send(body.as_bytes().chunks(1).collect()), whole);
        whole
    }
}

#[test]
fn a_value_goes_as_a_token_and_comes_back() {
    let exchange = Exchange::new();
    let request = exchange.request(
        Format::Json,
        "{\"a\":\"ask ada@example.com or bob@example.com\",\"b\":\"ada\\u0040example.com\",\"who\":\"Ada\"}",
    );
    assert_eq!(request, "{\"a\":\"ask <EMAIL_1> or <EMAIL_2>\",\"b\":\"<EMAIL_1>\",\"who\":\"<EMAIL_3>\"}");
    let response = exchange.response(
        Format::Json,
        "{\"x\":\"<EMAIL_2> and <email_1>, \\u003cEmail_3\\u003e, <EMAIL_4>, EMAIL_1 and eve@example.com\",\"<EMAIL_1>\":1}",
    );
    assert_eq!(
        response,
        "{\"x\":\"bob@example.com and ada@example.com, Ada, <EMAIL_4>, EMAIL_1 and [EMAIL]\",\"ada@example.com\":1}"
    );
    assert_eq!(format!("{:?}", exchange.table), "Pseudonyms(3)");
}

#[test]
fn a_restored_value_is_escaped_as_its_place_and_its_token_are() {
    let exchange = Exchange::of("openai.chat");
    let value = "<\\\"A&B\\\\\\n\\u00e9>";
    exchange.send(Direction::Request, Format::Json, [format!("{{\"who\":\"{value}\"}}").as_bytes()]).unwrap();
    let decoded = "<\"A&B\\\n\u{e9}>";
    let response = exchange.response(
        Format::Json,
        "{\"choices\":[{\"message\":{\"content\":\"<EMAIL_1> &lt;EMAIL_1&gt; %3CEMAIL_1%3e \\\\u003cEMAIL_1\\\\u003e\",\"tool_calls\":[{\"function\":{\"arguments\":\"{\\\"to\\\":\\\"<EMAIL_1>\\\",\\\"n\\\":\\\"\\\\u003cEMAIL_1\\\\u003e\\\"}\"}}]}}]}",
    );
    let read: serde_json::Value = serde_json::from_str(&response).unwrap();
    let message = &read["choices"][0]["message"];
    let html = "&lt;&quot;A&amp;B\\\n\u{e9}&gt;";
    let percent = "%3C%22A%26B%5C%0A%C3%A9%3E";
    let json = "<\\\"A&B\\\\\\n\u{e9}>";
    assert_eq!(message["content"].as_str().unwrap(), format!("{decoded} {html} {percent} {json}"));
    let arguments = message["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
    let arguments: serde_json::Value = serde_json::from_str(arguments).unwrap();
    assert_eq!((arguments["to"].as_str(), arguments["n"].as_str()), (Some(decoded), Some(decoded)));
    // In plain text a line break may end what it stands in.
    assert_eq!(exchange_text(&exchange, "x <EMAIL_1>"), "x <EMAIL_1>");
}

fn exchange_text(exchange: &Exchange, text: &str) -> String {
    let plain =
        Exchange { name: None, limits: exchange.limits.clone(), table: exchange.table.clone(), ..*exchange };
    plain.response(Format::Text, text)
}

#[test]
fn text_and_forms_carry_tokens_too() {
    let exchange = Exchange::new();
    assert_eq!(exchange.request(Format::Text, "from ada@example.com."), "from <EMAIL_1>.");
    let form = exchange.send(
        Direction::Request,
        Format::Form,
        [b"m=ada%40example.com&n=bob@example.com".as_slice()],
    );
    assert_eq!(form.unwrap(), "m=%3CEMAIL_1%3E&n=%3CEMAIL_2%3E");
    assert_eq!(
        exchange.response(Format::Text, "to <EMAIL_1>, &lt;email_2&gt;"),
        "to ada@example.com, bob@example.com"
    );
    assert_eq!(exchange.response(Format::Form, "m=%3CEMAIL_1%3E+x"), "m=ada%40example.com+x");
}

#[test]
fn a_token_may_be_cut_over_deltas() {
    let exchange = Exchange::of("openai.chat");
    exchange
        .request(Format::Json, "{\"messages\":[{\"role\":\"user\",\"content\":\"I am ada@example.com\"}]}");
    let event = |text: &str| {
        format!("data: {{\"choices\":[{{\"index\":0,\"delta\":{{\"content\":\"{text}\"}}}}]}}\n\n")
    };
    let end =
        "data: {\"choices\":[{\"index\":0,\"delta\":{},\"finish_reason\":\"stop\"}]}\n\ndata: [DONE]\n\n";
    let text = "Dear <EMAIL_1>, not <EMAIL_9> but \\u003cEMAIL_1\\u003e.<EMAIL_1";
    let mut random = Random(5);
    for round in 0..60 {
        let pieces = random.cut(text.as_bytes(), 1 + round % 9);
        // An escape cannot be cut by an event.
        if pieces.iter().any(|piece| broken(piece)) {
            continue;
        }
        let body: String =
            pieces.iter().map(|piece| event(std::str::from_utf8(piece).unwrap())).collect::<String>() + end;
        let out = exchange.send(Direction::Response, Format::Sse, [body.as_bytes()]).unwrap();
        assert_eq!(content_of(&out), "Dear ada@example.com, not <EMAIL_9> but ada@example.com.<EMAIL_1");
    }
    let body = event("a <EMA") + &event("IL_1> b") + end;
    exchange.response(Format::Sse, &body);
}

fn broken(piece: &[u8]) -> bool {
    let text = String::from_utf8_lossy(piece);
    text.match_indices('\\').any(|(at, _)| at + 6 > text.len()) || {
        let begins = ["u003", "003", "03", "3c", "3e", "c", "e"];
        begins.iter().any(|begin| text.starts_with(begin))
    }
}

fn content_of(stream: &str) -> String {
    let data = stream.lines().filter_map(|line| line.strip_prefix("data: {"));
    let event = |line: &str| serde_json::from_str::<serde_json::Value>(&format!("{{{line}")).unwrap();
    data.map(|line| event(line)["choices"][0]["delta"]["content"].as_str().unwrap_or("").to_owned()).collect()
}

#[test]
fn what_the_client_wrote_as_a_token_comes_back_as_it_was_written() {
    let exchange = Exchange::new();
    let request = exchange.request(Format::Text, "<email_2> ada@example.com <EMAIL_1> &lt;EMAIL_1&gt;");
    assert_eq!(request, "<EMAIL_1> <EMAIL_2> <EMAIL_3> <EMAIL_4>");
    assert_eq!(
        exchange.response(Format::Text, &request),
        "<email_2> ada@example.com <EMAIL_1> &lt;EMAIL_1&gt;"
    );
}

#[test]
fn a_full_table_hides_and_a_token_that_is_part_of_more_is_masked() {
    let exchange = Exchange { limits: Limits { pseudonyms: 1, ..Limits::default() }, ..Exchange::new() };
    assert_eq!(
        exchange.request(Format::Text, "a@example.com b@example.com a@example.com"),
        "<EMAIL_1> [EMAIL] <EMAIL_1>"
    );
    assert_eq!(exchange.response(Format::Text, "<EMAIL_1> [EMAIL]"), "a@example.com [EMAIL]");
    let none = Exchange { limits: Limits { pseudonyms: 0, ..Limits::default() }, ..Exchange::new() };
    assert_eq!(none.request(Format::Text, "a@example.com <EMAIL_1>"), "[EMAIL] [EMAIL]");
}

#[test]
fn signed_reasoning_keeps_its_tokens() {
    let exchange = Exchange::of("anthropic.messages");
    exchange.request(Format::Json, "{\"messages\":[{\"role\":\"user\",\"content\":\"ada@example.com\"}]}");
    let block = "{\"content\":[{\"type\":\"thinking\",\"thinking\":\"it is <EMAIL_1>\",\"signature\":\"c2ln\"},{\"type\":\"text\",\"text\":\"Hi <EMAIL_1>\"}]}";
    assert_eq!(exchange.response(Format::Json, block), block.replace("Hi <EMAIL_1>", "Hi ada@example.com"));
    let stream = "event: content_block_start\ndata: {\"type\":\"content_block_start\",\"index\":0,\"content_block\":{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"thinking_delta\",\"thinking\":\"so <EMAIL_1> is \"}}\n\nevent: content_block_delta\ndata: {\"type\":\"content_block_delta\",\"index\":0,\"delta\":{\"type\":\"signature_delta\",\"signature\":\"c2ln\"}}\n\nevent: content_block_stop\ndata: {\"type\":\"content_block_stop\",\"index\":0}\n\n";
    assert_eq!(exchange.response(Format::Sse, stream), stream);
    // The next request brings the block back.
    let again = Exchange::of("anthropic.messages");
    let request = "{\"messages\":[{\"role\":\"assistant\",\"content\":[{\"type\":\"thinking\",\"thinking\":\"it is <EMAIL_1>\",\"signature\":\"c2ln\"}]}]}";
    assert_eq!(again.request(Format::Json, request), request);
}

#[test]
fn copies_in_the_responses_api_agree() {
    let exchange = Exchange::of("openai.responses");
    exchange.request(Format::Json, "{\"input\":\"ada@example.com\"}");
    let delta = |text: &str| {
        format!(
            "event: response.output_text.delta\ndata: {{\"type\":\"response.output_text.delta\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"delta\":\"{text}\"}}\n\n"
        )
    };
    let done = |text: &str| {
        format!(
            "event: response.output_text.done\ndata: {{\"type\":\"response.output_text.done\",\"item_id\":\"m\",\"output_index\":0,\"content_index\":0,\"text\":\"{text}\"}}\n\n"
        )
    };
    let body = delta("To <EM") + &delta("AIL_1>!") + &done("To <EMAIL_1>!");
    let out = exchange.response(Format::Sse, &body);
    assert!(out.ends_with(&done("To ada@example.com!")), "{out}");
    assert!(!out.contains("EMAIL_1") && out.matches("ada@example.com").count() == 2, "{out}");
}

#[test]
fn repeated_frames_with_tokens_are_read_each_time() {
    let exchange = Exchange::of("openai.chat");
    exchange.request(Format::Json, "{\"messages\":[{\"role\":\"user\",\"content\":\"ada@example.com\"}]}");
    let event = "data: {\"id\":\"x\",\"note\":\"<EMAIL_1>\",\"choices\":[{\"index\":0,\"delta\":{\"content\":\"t \"}}]}\n\n";
    let out = exchange.response(Format::Sse, &event.repeat(3));
    assert_eq!(out, event.replace("<EMAIL_1>", "ada@example.com").repeat(3));
}

#[test]
fn an_echo_gives_back_what_was_sent() {
    let mut random = Random(23);
    let words = [
        "ada@example.com",
        "bob@example.org",
        "<EMAIL_1>",
        "<EMAIL_2>",
        "<Email_12>",
        "hello",
        "<",
        "EMAIL_1>",
        "\\\"",
        "\\u003cEMAIL_1>",
        "\u{e9}\\n",
        "a<b",
        "x@y",
    ];
    let mut issued = 0;
    for _ in 0..300 {
        let text: Vec<&str> = (0..random.below(12)).map(|_| words[random.below(words.len())]).collect();
        let body = format!("{{\"a\":\"{}\",\"b\":[\"{}\"]}}", text.join(" "), text.join(","));
        let exchange = Exchange::new();
        let masked =
            exchange.send(Direction::Request, Format::Json, random.cut(body.as_bytes(), 11)).unwrap();
        assert!(!masked.contains("example."), "{masked}");
        let echo =
            exchange.send(Direction::Response, Format::Json, random.cut(masked.as_bytes(), 7)).unwrap();
        let read = |text: &str| serde_json::from_str::<serde_json::Value>(text).unwrap();
        assert_eq!(read(&echo), read(&body), "{masked}");
        issued += exchange.table.len();
    }
    assert!(issued > 300, "{issued} tokens");
}
