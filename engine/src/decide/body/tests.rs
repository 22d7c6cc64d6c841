use super::*;
use serde_json::json;

fn reader(content: serde_json::Value) -> BodyReader {
    let content: Content = serde_json::from_value(content).unwrap();
    BodyReader::new(&content).unwrap()
}

/// Tools in every way that packs know: named by strings, and by members.
fn chat() -> BodyReader {
    reader(json!({
        "name": "chat",
        "request": {
            "model": ["$.model"],
            "tools": ["$.tools[*].function.name", "$.tools[*].name", "$.tools[*].type"],
            "kinds": ["function"],
        },
    }))
}

fn members() -> BodyReader {
    reader(json!({
        "name": "members",
        "request": {
            "tools": ["$.tools[*].*", "$.tools[*].functions[*].name"],
            "kinds": ["functions"],
        },
    }))
}

fn rpc() -> BodyReader {
    reader(json!({"name": "rpc", "jsonRpc": true}))
}

fn texts(texts: &[&str]) -> Stated {
    Stated::Texts(texts.iter().map(|text| (*text).to_owned()).collect())
}

#[test]
fn a_body_names_its_model() {
    for (body, model) in [
        (r#"{"model":"m"}"#, texts(&["m"])),
        (r#" { "a" : [1,{"model":"x"}] , "model" : "m" } "#, texts(&["m"])),
        (r#"{"\u006dodel":"\u006d"}"#, texts(&["m"])),
        (r#"{"model":""}"#, texts(&[""])),
        ("{}", texts(&[])),
        (r#"{"models":"m"}"#, texts(&[])),
        (r#"{"x":{"model":"m"}}"#, texts(&[])),
        // Two readings.
        (r#"{"model":"a","model":"b"}"#, Stated::Opaque),
        (r#"{"model":"a","\u006dodel":"a"}"#, Stated::Opaque),
        (r#"{"model":"a","Model":"b"}"#, Stated::Opaque),
        (r#"{"MODEL":"b"}"#, Stated::Opaque),
        // Another kind.
        (r#"{"model":null}"#, Stated::Opaque),
        (r#"{"model":1}"#, Stated::Opaque),
        (r#"{"model":-1.5e3}"#, Stated::Opaque),
        (r#"{"model":true}"#, Stated::Opaque),
        (r#"{"model":["m"]}"#, Stated::Opaque),
        (r#"{"model":{"name":"m"}}"#, Stated::Opaque),
        // No JSON, or more than one.
        (r#"[{"model":"m"}]"#, Stated::Opaque),
        (r#""m""#, Stated::Opaque),
        ("", Stated::Opaque),
        (r#"{"model":"m"}{"model":"n"}"#, Stated::Opaque),
        (r#"{"model":"m",}"#, Stated::Opaque),
        (r#"{"model":"m"} // m"#, Stated::Opaque),
        (r#"{"model":"m","x":NaN}"#, Stated::Opaque),
        ("{'model':'m'}", Stated::Opaque),
        ("\u{feff}{\"model\":\"m\"}", Stated::Opaque),
        (r#"{"model":"\ud800"}"#, Stated::Opaque),
        (r#"{"model":"m""#, Stated::Opaque),
    ] {
        assert_eq!(chat().read(body.as_bytes()).model, model, "{body}");
    }
    assert_eq!(chat().read(b"{\"model\":\"\xff\"}").model, Stated::Opaque);
    // UTF-16, which readers of Python take for JSON.
    let wide: Vec<u8> = r#"{"model":"m"}"#.encode_utf16().flat_map(u16::to_le_bytes).collect();
    assert_eq!(chat().read(&wide), BodyFacts::opaque());
}

#[test]
fn names_that_differ_in_case_hide_what_is_below() {
    let reader = reader(
        json!({"name": "c", "request": {"tools": ["$.tasks[*].function.name"], "model": ["$.spec.kind"]}}),
    );
    for body in [
        r#"{"ta\u017fks":[]}"#,
        r#"{"tas\u212as":[]}"#,
        "{\"ta\u{17f}\u{212a}s\":[]}",
        r#"{"Tasks":[{"function":{"name":"x"}}]}"#,
    ] {
        let facts = reader.read(body.as_bytes());
        assert_eq!((facts.tools, facts.model), (Stated::Opaque, texts(&[])), "{body}");
    }
    assert_eq!(reader.read(br#"{"spec":{"Kind":"a","kind":"b"}}"#).model, Stated::Opaque);
    assert_eq!(
        reader.read(br#"{"tasks":[{"Function":{"name":"x"},"function":{"name":"y"}}]}"#).tools,
        Stated::Opaque
    );
}

#[test]
fn every_tool_has_a_name() {
    for (body, tools) in [
        (
            r#"{"tools":[{"type":"function","function":{"name":"a"}},{"type":"function","function":{"name":"b"}}]}"#,
            texts(&["a", "b"]),
        ),
        (r#"{"tools":[{"type":"search"}]}"#, texts(&["search"])),
        // Whatever is there counts: readers differ in what they look at.
        (r#"{"tools":[{"type":"shell","name":"calculator"}]}"#, texts(&["shell", "calculator"])),
        (r#"{"tools":[]}"#, texts(&[])),
        (r#"{"tools":null}"#, texts(&[])),
        ("{}", texts(&[])),
        (r#"{"tools":[{"type":"function","function":{"name":"a"}},{"type":"function"}]}"#, Stated::Opaque),
        (r#"{"tools":[{"type":"function","function":{"description":"a"}}]}"#, Stated::Opaque),
        (r#"{"tools":[{}]}"#, Stated::Opaque),
        (r#"{"tools":[null]}"#, Stated::Opaque),
        (r#"{"tools":["a"]}"#, Stated::Opaque),
        (r#"{"tools":[[{"type":"a"}]]}"#, Stated::Opaque),
        (r#"{"tools":{"type":"a"}}"#, Stated::Opaque),
        (r#"{"tools":[{"type":"a"}],"tools":[]}"#, Stated::Opaque),
        (r#"{"tools":[{"type":"a","type":"b"}]}"#, Stated::Opaque),
        (r#"{"tools":[{"type":7,"name":"a"}]}"#, Stated::Opaque),
    ] {
        assert_eq!(chat().read(body.as_bytes()).tools, tools, "{body}");
    }
}

#[test]
fn members_name_tools() {
    for (body, tools) in [
        (
            r#"{"tools":[{"functions":[{"name":"a"},{"name":"b"}]},{"search":{}}]}"#,
            texts(&["a", "b", "search"]),
        ),
        (r#"{"tools":[{"functions":[]}]}"#, texts(&[])),
        (r#"{"tools":[{}]}"#, texts(&[])),
        (r#"{"tools":[{"Functions":[{"name":"a"}]}]}"#, Stated::Opaque),
        (r#"{"tools":[{"functions":[{"description":"a"}]}]}"#, Stated::Opaque),
        (r#"{"tools":["search"]}"#, Stated::Opaque),
    ] {
        assert_eq!(members().read(body.as_bytes()).tools, tools, "{body}");
    }
}

#[test]
fn what_is_too_much_is_not_cut_off() {
    let list = |count: usize| format!(r#"{{"tools":[{}]}}"#, vec![r#"{"type":"t"}"#; count].join(","));
    assert_eq!(chat().read(list(MOST).as_bytes()).tools, texts(&["t"; MOST]));
    assert_eq!(chat().read(list(MOST + 1).as_bytes()).tools, Stated::Opaque);
    let named = |length: usize| format!(r#"{{"model":"{}"}}"#, "m".repeat(length));
    assert_eq!(chat().read(named(LONGEST).as_bytes()).model, texts(&[&"m".repeat(LONGEST)]));
    assert_eq!(chat().read(named(LONGEST + 1).as_bytes()).model, Stated::Opaque);
    let deep = format!(r#"{{"model":"m","x":{}1{}}}"#, "[".repeat(100_000), "]".repeat(100_000));
    let facts = chat().read(deep.as_bytes());
    assert!([texts(&["m"]), Stated::Opaque].contains(&facts.model));
}

#[test]
fn messages_of_json_rpc() {
    let call = |name: &str| {
        format!(
            r#"{{"jsonrpc":"2.0","id":1,"params":{{"name":"{name}","arguments":{{"name":"x"}}}},"method":"tools/call"}}"#
        )
    };
    let prompt = r#"{"jsonrpc":"2.0","id":2,"method":"prompts/get","params":{"name":"p"}}"#;
    let answer = r#"{"jsonrpc":"2.0","id":3,"result":{"method":"tools/call"}}"#;
    for (body, methods, tools) in [
        (call("a"), texts(&["tools/call"]), texts(&["a"])),
        (prompt.to_owned(), texts(&["prompts/get"]), texts(&[])),
        (answer.to_owned(), texts(&[]), texts(&[])),
        (
            format!("[{},{prompt},{answer},{}]", call("a"), call("b")),
            texts(&["tools/call", "prompts/get", "tools/call"]),
            texts(&["a", "b"]),
        ),
        ("[]".to_owned(), texts(&[]), texts(&[])),
        (r#"{"method":"tools/call"}"#.to_owned(), texts(&["tools/call"]), Stated::Opaque),
        (r#"{"method":"tools/call","params":{"name":1}}"#.to_owned(), texts(&["tools/call"]), Stated::Opaque),
        (
            r#"{"method":"tools/call","params":{"name":"a","name":"b"}}"#.to_owned(),
            texts(&["tools/call"]),
            Stated::Opaque,
        ),
        (
            r#"{"method":"tools/call","params":{"name":"a","Name":"b"}}"#.to_owned(),
            texts(&["tools/call"]),
            Stated::Opaque,
        ),
        (r#"{"method":"ping","method":"tools/call"}"#.to_owned(), Stated::Opaque, Stated::Opaque),
        (r#"{"Method":"tools/call","params":{"name":"a"}}"#.to_owned(), Stated::Opaque, Stated::Opaque),
        (r#"{"method":["tools/call"]}"#.to_owned(), Stated::Opaque, Stated::Opaque),
        ("[1]".to_owned(), Stated::Opaque, Stated::Opaque),
        (format!("[[{}]]", call("a")), Stated::Opaque, Stated::Opaque),
        (format!("{}\n{}", call("a"), call("b")), Stated::Opaque, Stated::Opaque),
        ("7".to_owned(), Stated::Opaque, Stated::Opaque),
    ] {
        let facts = rpc().read(body.as_bytes());
        assert_eq!((facts.methods, facts.tools), (methods, tools), "{body}");
    }
}

#[test]
fn a_path_names_a_model() {
    let behind = |behind: &str, to_colon| ModelInPath { behind: behind.into(), to_colon };
    for (path, model) in [
        ("/v1beta/models/gemini-2.5-pro:streamGenerateContent", texts(&["gemini-2.5-pro"])),
        ("/v1/projects/p/locations/l/publishers/g/models/gemini:generateContent", texts(&["gemini"])),
        ("/v1beta/models/a%3Ab:x", texts(&["a:b"])),
        ("/v1beta/models", texts(&[])),
        ("/v1beta/tunedModels/x:y", texts(&[])),
        ("/v1beta/models/", Stated::Opaque),
        ("/v1beta/models/:x", Stated::Opaque),
        ("/models/a/models/b:x", Stated::Opaque),
        ("/models/models/b:x", Stated::Opaque),
        ("/models/%ff:x", Stated::Opaque),
        ("/models/%zz:x", Stated::Opaque),
    ] {
        assert_eq!(model_of_path(path, &behind("models", true)), model, "{path}");
    }
    for (path, model) in [
        (
            "/model/anthropic.claude-3-haiku-20240307-v1:0/converse",
            texts(&["anthropic.claude-3-haiku-20240307-v1:0"]),
        ),
        ("/model/anthropic.claude%3A0/invoke", texts(&["anthropic.claude:0"])),
        ("/model/a+b/invoke", texts(&["a+b"])),
    ] {
        assert_eq!(model_of_path(path, &behind("model", false)), model, "{path}");
    }
}

#[test]
fn paths_that_lead_nowhere_are_refused() {
    for path in ["$..name", "$.tools.*.name", "$.*.name"] {
        let content = json!({"name": "c", "request": {"tools": [path]}});
        let content: Content = serde_json::from_value(content).unwrap();
        assert!(BodyReader::new(&content).is_none(), "{path}");
    }
}
