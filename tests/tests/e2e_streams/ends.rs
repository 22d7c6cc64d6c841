//! Messages that trailers end: HTTP/2 shows their end to the filter only when nothing can be added any more, so what is
//! undecided has to wait where it can still be written.

use anyhow::Result;
use veilwire_tests::client::Response;
use veilwire_tests::site::Site;
use veilwire_tests::upstream::Ending;
use veilwire_tests::wire::{Headers, Piece, ResponseHead, headers};

use crate::messages::{exported, spans};

const EMAIL: &str = "ada.lovelace@example.com";
const TEXT: &str = "text/plain; charset=utf-8";
const FORM: &str = "application/x-www-form-urlencoded";
const PROTOBUF: &str = "application/x-protobuf";

/// A message: its route, its type, its pieces and what its reader must get.
struct Row {
    route: &'static str,
    kind: &'static str,
    pieces: Vec<Vec<u8>>,
    expected: Vec<u8>,
}

fn row(kind: &'static str, pieces: &[&str], expected: impl Into<Vec<u8>>) -> Row {
    let pieces = pieces.iter().map(|piece| piece.as_bytes().to_vec()).collect();
    Row { route: "json", kind, pieces, expected: expected.into() }
}

/// Documents of which nothing, little or much is undecided when the trailers come.
fn documents() -> Vec<Row> {
    let long = format!("note={}&to=", "lorem+ipsum+".repeat(7_000));
    vec![
        row(TEXT, &["ok"], "ok"),
        row(TEXT, &["p", "ong"], "pong"),
        row(TEXT, &["write to ada.lovelace@", "example.com"], "write to [EMAIL]"),
        row(FORM, &["a"], "a"),
        row(FORM, &["to=", EMAIL], "to=%5BEMAIL%5D"),
        row(FORM, &[&long, "ada.lovelace%40exam", "ple.com"], format!("{long}%5BEMAIL%5D")),
        row("application/json", &["41111111", "11111111"], "\"[CARD]\""),
        row("application/json", &[" 12 "], " 12 "),
    ]
}

fn protobuf(make: fn(&str) -> Vec<u8>, pad: usize) -> Row {
    let pad = "lorem ipsum ".repeat(pad);
    let pieces = make(&format!("{pad}{EMAIL}")).chunks(10_000).map(<[u8]>::to_vec).collect();
    Row { route: "traces", kind: PROTOBUF, pieces, expected: make(&format!("{pad}[EMAIL]")) }
}

fn end() -> Headers {
    headers(&[("x-checksum", "none")])
}

/// Sends a request that trailers end; gives what the upstream got.
fn ask(site: &Site, row: &Row, more: &[(&str, &str)]) -> Result<(Vec<u8>, Headers)> {
    let mut client = site.http2()?;
    let mut head = site.post(row.route, row.kind)?;
    head.headers.extend(headers(more));
    let mut exchange = client.start(&head, false)?;
    for piece in &row.pieces {
        exchange.send(piece, false)?;
    }
    exchange.finish(&end())?;
    let mut arrived = site.upstream.accept()?;
    let got = arrived.rest()?;
    arrived.reply(ResponseHead::new(200, &[("content-type", "application/json")]), &[b"{}"])?;
    assert_eq!(exchange.response()?.head.status, 200);
    Ok(got)
}

/// Answers with a response that trailers end; gives what the client got.
fn answer(site: &Site, row: &Row, more: &[(&str, &str)]) -> Result<Response> {
    let mut client = site.http2()?;
    let mut exchange = client.start(&site.post(row.route, "application/json")?, false)?;
    exchange.send(b"{}", true)?;
    let mut arrived = site.upstream.accept()?;
    arrived.body()?;
    let mut head = ResponseHead::new(200, &[("content-type", row.kind)]);
    head.headers.extend(headers(more));
    arrived.respond(head)?;
    for piece in &row.pieces {
        arrived.send(piece)?;
    }
    arrived.end(Ending::Trailers(end()))?;
    exchange.response()
}

fn same(name: &str, got: &[u8], expected: &[u8]) {
    let (got_text, expected_text) = (String::from_utf8_lossy(got), String::from_utf8_lossy(expected));
    let tail =
        |text: &str| text.chars().rev().take(200).collect::<Vec<_>>().into_iter().rev().collect::<String>();
    assert!(
        got == expected,
        "{name}: {} for {} bytes, …{} for …{}",
        got.len(),
        expected.len(),
        tail(&got_text),
        tail(&expected_text)
    );
}

#[test]
fn a_request_that_trailers_end_loses_nothing() {
    let site = Site::over_http2().unwrap();
    let rows = documents().into_iter().chain([protobuf(spans, 1), protobuf(spans, 7_000)]);
    for (number, row) in rows.enumerate() {
        let name = format!("{} {number}", row.kind);
        let (body, trailers) = ask(&site, &row, &[])
            .unwrap_or_else(|error| panic!("{name}: {error:#}\n{}", site.access_log.text().unwrap()));
        same(&name, &body, &row.expected);
        assert_eq!(trailers, end(), "{name}");
    }
}

#[test]
fn a_response_that_trailers_end_loses_nothing() {
    let site = Site::over_http2().unwrap();
    let rows = documents().into_iter().chain([protobuf(exported, 1), protobuf(exported, 7_000)]);
    for (number, row) in rows.enumerate() {
        let name = format!("{} {number}", row.kind);
        let got = answer(&site, &row, &[("trailer", "x-checksum")])
            .unwrap_or_else(|error| panic!("{name}: {error:#}\n{}", site.access_log.text().unwrap()));
        same(&name, &got.body, &row.expected);
        assert_eq!(got.trailers, end(), "{name}");
    }
}

#[test]
fn a_message_of_known_length_ends_there_whatever_follows() {
    let site = Site::over_http2().unwrap();
    let text = format!("{}{EMAIL}", "lorem ipsum ".repeat(60_000));
    let pieces = text.as_bytes().chunks(10_000).map(<[u8]>::to_vec).collect();
    let expected = text.replace(EMAIL, "[EMAIL]").into_bytes();
    let long = Row { route: "json", kind: TEXT, pieces, expected };
    for (number, (row, large)) in
        [(long, None), (protobuf(spans, 100_000), Some(protobuf(exported, 100_000)))].into_iter().enumerate()
    {
        let length = |row: &Row| row.pieces.iter().map(Vec::len).sum::<usize>().to_string();
        let (body, trailers) = ask(&site, &row, &[("content-length", &length(&row))])
            .unwrap_or_else(|error| panic!("{number}: {error:#}\n{}", site.envoy.log_tail()));
        same(&number.to_string(), &body, &row.expected);
        assert_eq!(trailers, end());
        let row = large.unwrap_or(row);
        let got = answer(&site, &row, &[("content-length", &length(&row))])
            .unwrap_or_else(|error| panic!("{number}: {error:#}\n{}", site.envoy.log_tail()));
        same(&number.to_string(), &got.body, &row.expected);
        assert_eq!(got.trailers, end());
    }
}

#[test]
fn a_text_is_read_as_it_comes_and_cut_rather_than_shortened() {
    let site = Site::over_http2().unwrap();
    let mut client = site.http2().unwrap();
    let mut exchange = client.start(&site.post("json", "application/json").unwrap(), false).unwrap();
    exchange.send(b"{}", true).unwrap();
    let mut arrived = site.upstream.accept().unwrap();
    arrived.body().unwrap();
    arrived.respond(ResponseHead::new(200, &[("content-type", TEXT)])).unwrap();
    assert_eq!(exchange.response_head().unwrap().status, 200);
    arrived.send(b"write to ada").unwrap();
    // Nothing else was sent yet: what is decided does not wait.
    assert_eq!(exchange.next_piece().unwrap(), Piece::Data(b"write to ".to_vec()));
    arrived.send(b", or ").unwrap();
    assert_eq!(exchange.next_piece().unwrap(), Piece::Data(b"ada, or ".to_vec()));
    arrived.send(b"to bob").unwrap();
    assert_eq!(exchange.next_piece().unwrap(), Piece::Data(b"to ".to_vec()));
    // Trailers that nobody announced hide the end of `bob`.
    arrived.end(Ending::Trailers(end())).unwrap();
    assert!(exchange.next_piece().is_err(), "a shortened text looked whole");
    // One of which nothing had left loses nothing.
    let whole = answer(&site, &row(TEXT, &["ping"], "ping"), &[]).unwrap();
    assert_eq!((whole.body.as_slice(), whole.trailers), (&b"ping"[..], end()));
}
