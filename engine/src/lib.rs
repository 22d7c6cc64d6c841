//! The host-agnostic core of Veilwire: facts and bytes in; bytes, one step and events out.
//!
//! ```text
//!            request head        request body           response head        response body
//!                 │                    │                      │                    │
//!                 ▼                    ▼                      ▼                    ▼
//!  Host ─► Driver ─────────────────────── Exchange ───────────────────────────────────────► Host
//!                 │                    │                      │                    │
//!        transport, identity,     format: where          transport,           format, mask
//!        decide ─► Permit         mask: what             status, type
//!                 │                    └─────────────┬────────────────────────────┘
//!                 ▼                                  ▼
//!            AuditEvent ◄──────────────────────── Findings
//! ```
//! What it guarantees: no exchange passes without a [`Permit`](decision::Permit); no byte of a value that a mask covers is put out, not
//! even a prefix, however the message is cut; every doubt refuses. What it does not do: I/O, reading clocks, logging, panicking.
//!
//! An embedder loads a [`Policy`](policy::Policy), implements [`Host`](host::Host), and calls a [`Driver`](driver::Driver) per exchange.

#![forbid(unsafe_code)]
#![warn(missing_docs)]

pub mod approval;
pub mod audit;
mod bytes;
#[cfg(feature = "compile")]
pub mod compile;
pub mod decide;
pub mod decision;
pub mod driver;
pub mod exchange;
pub mod format;
pub mod host;
pub mod identity;
pub mod mask;
pub mod policy;
pub mod time;
pub mod transport;
