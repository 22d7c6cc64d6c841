//! How the heads of messages differ when Veilwire is on their way: a fixed list.
//!
//! "As without a filter" means: the same body after content decoding, and the same head but for these lines. A test asks the engine
//! whether it makes exactly the changes that are listed as the filter's.

use crate::emit::envoy::CALLER_PLACE;
use serde::Serialize;

/// A change of a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Difference {
    /// Whose head.
    pub head: Head,
    /// On which exchanges.
    pub when: When,
    /// Who makes it.
    pub by: Maker,
    /// Lower-case names, or a family as `x-veilwire-*`.
    pub headers: &'static [&'static str],
    /// What happens to them.
    pub change: &'static str,
    /// Why.
    pub why: &'static str,
}

/// Which of the two heads of an exchange.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Head {
    /// As the upstream gets it.
    Request,
    /// As the caller gets it.
    Response,
}

/// On which exchanges a head is changed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub enum When {
    /// On all that are allowed.
    Always,
    /// Where `audit.headers.response` is set.
    Told,
    /// Where a mask looks at the body of the request.
    RequestMasked,
    /// Where a mask looks at the body of the response.
    ResponseMasked,
}

/// Who changes a head.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Maker {
    /// The module.
    Filter,
    /// Envoy, as `veilwire compile` configures it.
    Envoy,
}

impl When {
    /// In words.
    #[must_use]
    pub fn words(self) -> &'static str {
        match self {
            When::Always => "always",
            When::Told => "with `audit.headers.response`",
            When::RequestMasked => "where a mask looks at the request body",
            When::ResponseMasked => "where a mask looks at the response body",
        }
    }
}

const OWN: &[&str] =
    &["x-veilwire-decision", "x-veilwire-subject", "x-veilwire-policy", "x-veilwire-request-id"];
const TOLD: &[&str] = &["x-veilwire-decision", "x-veilwire-policy", "x-veilwire-request-id"];
const DIGESTS: &[&str] = &["digest", "content-digest", "repr-digest", "content-md5"];

/// All of them.
pub const DIFFERENCES: &[Difference] = &[
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Filter,
        headers: &["authorization"],
        change: "removed, unless `keepToken`",
        why: "the token is meant for Veilwire; the header, cookie or parameter of `from` that carried it goes as well",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Filter,
        headers: &["x-veilwire-*"],
        change: "removed",
        why: "only Veilwire says what they say",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Filter,
        headers: OWN,
        change: "set",
        why: "the upstream learns who calls, and under which policy",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Filter,
        headers: &["te"],
        change: "removed; `trailers` on gRPC requests",
        why: "of one hop; gRPC servers refuse a call without it",
    },
    Difference {
        head: Head::Request,
        when: When::ResponseMasked,
        by: Maker::Filter,
        headers: &["accept-encoding", "grpc-accept-encoding", "range", "if-range"],
        change: "removed",
        why: "an answer that is whole and readable is one that can be inspected",
    },
    Difference {
        head: Head::Request,
        when: When::RequestMasked,
        by: Maker::Filter,
        headers: &["content-length"],
        change: "removed",
        why: "the body may be rewritten while it streams",
    },
    Difference {
        head: Head::Request,
        when: When::RequestMasked,
        by: Maker::Filter,
        headers: &["content-encoding"],
        change: "removed, where it was opened",
        why: "the body goes on without it",
    },
    Difference {
        head: Head::Request,
        when: When::RequestMasked,
        by: Maker::Filter,
        headers: DIGESTS,
        change: "removed",
        why: "what was computed over the body that came does not hold for the one that left",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Envoy,
        headers: CALLER_PLACE,
        change: "removed",
        why: "an upstream neither learns where a caller is, nor is made to believe a caller's claim",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Filter,
        headers: &["x-envoy-*"],
        change: "removed",
        why: "no caller gives Envoy orders (retries, timeouts, paths, who is internal), here or further on",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Envoy,
        headers: &["x-request-id"],
        change: "set to a new one",
        why: "audit, log and upstream name the same request",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Envoy,
        headers: &[":authority"],
        change: "set to the upstream's name, with its port where that is not 443; left where it is a bare address",
        why: "upstreams expect their own",
    },
    Difference {
        head: Head::Request,
        when: When::Always,
        by: Maker::Envoy,
        headers: &[":path"],
        change: "normalized, slashes merged",
        why: "the policy decides on the path that the upstream will see",
    },
    Difference {
        head: Head::Response,
        when: When::Always,
        by: Maker::Filter,
        headers: &["x-veilwire-*"],
        change: "removed",
        why: "only Veilwire says what they say",
    },
    Difference {
        head: Head::Response,
        when: When::Told,
        by: Maker::Filter,
        headers: TOLD,
        change: "set",
        why: "the caller learns the policy and the id to ask about",
    },
    Difference {
        head: Head::Response,
        when: When::ResponseMasked,
        by: Maker::Filter,
        headers: &["content-length"],
        change: "removed",
        why: "the body may be rewritten while it streams",
    },
    Difference {
        head: Head::Response,
        when: When::ResponseMasked,
        by: Maker::Filter,
        headers: &["content-encoding"],
        change: "removed, where it was opened",
        why: "the body goes on without it",
    },
    Difference {
        head: Head::Response,
        when: When::ResponseMasked,
        by: Maker::Filter,
        headers: DIGESTS,
        change: "removed",
        why: "what was computed over the body that came does not hold for the one that left",
    },
    Difference {
        head: Head::Response,
        when: When::ResponseMasked,
        by: Maker::Filter,
        headers: &["etag", "accept-ranges"],
        change: "removed",
        why: "they name bytes that the caller does not get",
    },
    Difference {
        head: Head::Response,
        when: When::Always,
        by: Maker::Envoy,
        headers: &["strict-transport-security"],
        change: "set to two years",
        why: "callers come back over TLS",
    },
    Difference {
        head: Head::Response,
        when: When::Always,
        by: Maker::Envoy,
        headers: &["date"],
        change: "set, if the upstream has none",
        why: "RFC 9110, section 6.6.1",
    },
];
