//! Why a value is never touched, by its name: packs say where, this says why.

/// Checked by whoever made it; a changed one would break the next turn.
const OPAQUE: &str =
    "opaque text that only its provider reads, and checks: a changed one is refused on the next turn";
/// Compared by programs, and by chance of the form of a card or phone number.
const ID: &str = "an id: programs compare it, and its digits may look like a number that is masked";
const TIME: &str = "a time";
const NUMBER: &str = "a count, measurement or position";
const WORD: &str = "a word of the protocol";
const PADDING: &str = "padding, random by design";
const OTHER: &str = "no text of a caller or a model";

const OPAQUES: &[&str] =
    &["signature", "thoughtsignature", "encryptedcontent", "encryptedindex", "redactedcontent", "data"];
const PADDINGS: &[&str] = &["obfuscation", "p"];
const TIMES: &[&str] = &["created", "updated", "timestamp", "time"];
const IDS: &[&str] =
    &["id", "cursor", "nextcursor", "progresstoken", "dottedorder", "fingerprint", "systemfingerprint"];
const WORDS: &[&str] = &[
    "aggregationtemporality",
    "code",
    "completionreason",
    "datatype",
    "done",
    "donereason",
    "eventtype",
    "finishreason",
    "jsonrpc",
    "kind",
    "level",
    "method",
    "model",
    "modelversion",
    "object",
    "protocolversion",
    "role",
    "runtype",
    "servicetier",
    "status",
    "stopreason",
    "type",
];
const NUMBERS: &[&str] = &[
    "asdouble",
    "asint",
    "bucketcounts",
    "contentblockstop",
    "costdetails",
    "doublevalue",
    "explicitbounds",
    "flags",
    "intvalue",
    "max",
    "metrics",
    "min",
    "offset",
    "quantile",
    "scale",
    "seed",
    "sequencenumber",
    "severitynumber",
    "sum",
    "value",
    "zerothreshold",
];

/// Why the value at a path is never touched.
pub(super) fn reason(path: &str) -> &'static str {
    let name = path.rsplit('.').next().unwrap_or(path).trim_end_matches("[*]");
    let camel_id = name.ends_with("Id") || name.ends_with("Ids") || name == "callerChain";
    let name: String = name.chars().filter(char::is_ascii_alphanumeric).collect();
    let snake_id = path.ends_with("_id") || path.ends_with("_ids");
    let name = name.to_ascii_lowercase();
    let is = |names: &[&str]| names.contains(&name.as_str());
    let ends = |ends: &[&str]| ends.iter().any(|end| name.ends_with(end));
    if is(OPAQUES) {
        OPAQUE
    } else if is(PADDINGS) {
        PADDING
    } else if camel_id || snake_id || is(IDS) {
        ID
    } else if is(TIMES) || path.ends_with("_at") || ends(&["unixnano", "time"]) {
        TIME
    } else if is(WORDS) {
        WORD
    } else if is(NUMBERS)
        || name.starts_with("rejected")
        || ends(&["count", "counts", "usage", "usagedetails", "usagemetadata", "metrics", "tokens"])
        || ends(&["index", "duration"])
    {
        NUMBER
    } else {
        OTHER
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_say_why() {
        for (path, expected) in [
            ("$.message.id", ID),
            ("$.content[*].tool_use_id", ID),
            ("$..traceId", ID),
            ("$.runs[*].child_run_ids", ID),
            ("$.delta.signature", OPAQUE),
            ("$.candidates[*].content.parts[*].thoughtSignature", OPAQUE),
            ("$.output[*].encrypted_content", OPAQUE),
            ("$.content[*].data", OPAQUE),
            ("$.created_at", TIME),
            ("$.spans[*].startTimeUnixNano", TIME),
            ("$.start_time", TIME),
            ("$.usage", NUMBER),
            ("$.eval_count", NUMBER),
            ("$.output_index", NUMBER),
            ("$..intValue", NUMBER),
            ("$.type", WORD),
            ("$.stop_reason", WORD),
            ("$.obfuscation", PADDING),
            ("$.anything", OTHER),
        ] {
            assert_eq!(reason(path), expected, "{path}");
        }
    }
}
