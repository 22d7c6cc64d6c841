//! Twenty more detectors of the usual shapes: with them a set is as large as what deployments use, and its worst case is worse.

use veilwire_engine::policy::model::Validator;

/// Expression and validator.
pub const SHAPES: [(&str, Option<Validator>); 20] = [
    (
        r"(?:\+1[ .-]?|\b1[ .-])?(?:\([2-9][0-9]{2}\) ?|\b[2-9][0-9]{2}[ .-])[2-9][0-9]{2}[ .-][0-9]{4}\b",
        None,
    ),
    (r"\+[1-9][0-9](?:[ .-]?[0-9]){6,12}\b", None),
    (r"\b[A-Z]{2}[0-9]{2}(?: ?[A-Z0-9]){11,30}\b", None),
    (
        r"\b(?:(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\.){3}(?:25[0-5]|2[0-4][0-9]|1[0-9][0-9]|[1-9]?[0-9])\b",
        None,
    ),
    (
        concat!(
            r"\b(?:(?:[0-9A-Fa-f]{1,4}:){7}[0-9A-Fa-f]{1,4}|(?:[0-9A-Fa-f]{1,4}:){1,6}:[0-9A-Fa-f]{1,4}",
            r"|(?:[0-9A-Fa-f]{1,4}:){1,5}(?::[0-9A-Fa-f]{1,4}){1,2}|(?:[0-9A-Fa-f]{1,4}:){1,4}(?::[0-9A-Fa-f]{1,4}){1,3}",
            r"|(?:[0-9A-Fa-f]{1,4}:){1,3}(?::[0-9A-Fa-f]{1,4}){1,4}|(?:[0-9A-Fa-f]{1,4}:){1,2}(?::[0-9A-Fa-f]{1,4}){1,5}",
            r"|[0-9A-Fa-f]{1,4}:(?::[0-9A-Fa-f]{1,4}){1,6})\b",
        ),
        None,
    ),
    (
        r#"\b(?:https?|ftp|postgres|mysql|mongodb|redis|amqp|ssh)://[^\s/:@<>"']{1,64}:[^\s/@<>"']{1,128}@[A-Za-z0-9.-]"#,
        None,
    ),
    (r"\bgh[pousr]_[0-9A-Za-z]{36,}", None),
    (r"\bgithub_pat_[0-9A-Za-z_]{36,}", None),
    (r"\bxox[abeoprs]-[0-9A-Za-z-]{10,}", None),
    (r"\bAIza[0-9A-Za-z_-]{35}", None),
    (r"\b[rs]k_(?:live|test|prod)_[0-9A-Za-z]{10,}", None),
    (r"\beyJ[A-Za-z0-9_-]{17,}(?:\.[A-Za-z0-9_-]{4,}){0,2}", None),
    (r"\b[Bb][Ee][Aa][Rr][Ee][Rr][ \t]{1,4}[A-Za-z0-9._~+/=-]{16,}", None),
    (r"\b[0-9a-fA-F]{8}-[0-9a-fA-F]{4}-[1-8][0-9a-fA-F]{3}-[89abAB][0-9a-fA-F]{3}-[0-9a-fA-F]{12}\b", None),
    (r"\b(?:[0-9A-Fa-f]{2}[:-]){5}[0-9A-Fa-f]{2}\b", None),
    (r"\b[Pp]assport(?: (?:no|No|number|Number|#))?[ .:#]{1,4}[A-Z]?[0-9]{8,9}\b", None),
    (r"\b(?:bc1[ac-hj-np-z02-9]{25,59}|[13][1-9A-HJ-NP-Za-km-z]{25,34})\b", None),
    (r"\b0x[0-9a-fA-F]{40}\b", None),
    (
        concat!(
            r"\b(?:(?:19|20)[0-9]{2}[-/.](?:0[1-9]|1[0-2])[-/.](?:0[1-9]|[12][0-9]|3[01])",
            r"|(?:0?[1-9]|[12][0-9]|3[01])[-/.](?:0?[1-9]|[12][0-9]|3[01])[-/.](?:19|20)[0-9]{2})\b",
        ),
        None,
    ),
    (
        r"(?:[-+]|\b)(?:[1-8]?[0-9]|90)\.[0-9]{4,10} ?, {0,2}[-+]?(?:1[0-7][0-9]|180|[1-9]?[0-9])\.[0-9]{4,10}\b",
        None,
    ),
];
