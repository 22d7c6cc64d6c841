//! What it costs to know who is calling: CPU time of Envoy that a token adds to an exchange, with Veilwire and with Envoy's own
//! `jwt_authn` and `rbac`, in one run.
//!
//! Three listeners of one Envoy: without a filter, with `jwt_authn` and `rbac`, with Veilwire. What a filter adds for a token is what the
//! exchange costs beyond the one without a filter that carries the same token: a header of that length costs TLS and HTTP something
//! too. Of Veilwire everything else is taken off as well, by its exchange without a token, where the client's certificate is the caller.
//! Every cold token is used once on each listener; `cached` is one RS256 token again and again, and `jwt_authn` has its cache on.
//! Every answer is checked, and before anything is measured it is checked that both refuse a forged token.

mod site;

use std::collections::BTreeMap;
use std::path::PathBuf;

use anyhow::{Context as _, Result, anyhow, bail, ensure};
use serde_json::{Value, json};
use veilwire_tests::client::Http1Client;
use veilwire_tests::deadline::unix_seconds;
use veilwire_tests::token::{Algorithm, Claims, TokenIssuer};
use veilwire_tests::wire::RequestHead;

use crate::{cpu, decide, scenario};
use site::{Listener, Site};

const DEFAULT_ROUNDS: usize = 40;
const MAX_ROUNDS: usize = 100;
/// Exchanges of a slice.
const SLICE: usize = 100;
/// Slices of each kind until V8 has compiled what is hot.
const WARM_UP: usize = 10;
/// Name and algorithm of what is cold; `cached` comes besides.
const COLD: [(&str, Algorithm); 3] =
    [("rs256", Algorithm::Rs256), ("es256", Algorithm::Es256), ("eddsa", Algorithm::EdDsa)];
const CACHED: &str = "cached";
/// The exchange without a token.
const NONE: &str = "none";

/// `bench identity`.
pub(crate) fn run(args: &[String]) -> Result<()> {
    let (mut file, mut rounds) = (None, DEFAULT_ROUNDS);
    let mut args = args.iter();
    while let Some(flag) = args.next() {
        let value = args.next().with_context(|| format!("`{flag}` needs a value"))?;
        match flag.as_str() {
            "--json" => file = Some(PathBuf::from(value)),
            "--rounds" => rounds = value.parse().context("`--rounds` needs a number")?,
            _ => bail!("usage: bench identity [--json FILE] [--rounds N]"),
        }
    }
    ensure!((1..=MAX_ROUNDS).contains(&rounds), "between 1 and {MAX_ROUNDS} rounds are possible");
    let figures = measure(rounds)?;
    print(&figures);
    if let Some(file) = file {
        let text = format!("{figures:#}\n");
        std::fs::write(&file, text).with_context(|| format!("cannot write `{}`", file.display()))?;
    }
    Ok(())
}

/// Microseconds of slices, by listener and kind.
type Slices = BTreeMap<(Listener, &'static str), Vec<f64>>;

fn measure(rounds: usize) -> Result<Value> {
    let site = Site::start()?;
    let mut clients = Vec::new();
    for listener in Listener::ALL {
        clients.push(Client { listener, http: site.connect(listener)? });
    }
    let mut tokens = Tokens::new()?;
    for client in clients.iter_mut().filter(|client| client.listener != Listener::Plain) {
        let forged = tokens.forged()?;
        ensure!(client.exchange(Some(&forged))? == 401, "{:?} takes a forged token", client.listener);
    }
    let mut slices = Slices::new();
    for round in 0..WARM_UP + rounds {
        println!("round {} of {}", round + 1, WARM_UP + rounds);
        // Who and what is first changes, so that nothing always follows the same other thing.
        clients.rotate_left(1);
        let cold = COLD.map(|(kind, algorithm)| (kind, tokens.fresh(algorithm)));
        let same = vec![Some(tokens.cached.as_str()); SLICE];
        for client in &mut clients {
            let mut kinds: Vec<(&'static str, Vec<Option<&str>>)> = Vec::new();
            if client.listener != Listener::JwtAuthn {
                kinds.push((NONE, vec![None; SLICE]));
            }
            kinds.push((CACHED, same.clone()));
            if client.listener != Listener::Plain {
                for (kind, fresh) in &cold {
                    let fresh = fresh.as_ref().map_err(|error| anyhow!("{error:#}"))?;
                    kinds.push((kind, fresh.iter().map(|token| Some(token.as_str())).collect()));
                }
            }
            let first = round % kinds.len();
            kinds.rotate_left(first);
            for (kind, tokens) in &kinds {
                let micros = client.http.slice(client.listener, &site, tokens)?;
                if round >= WARM_UP {
                    slices.entry((client.listener, kind)).or_default().push(micros);
                }
            }
        }
    }
    // Of the same round: what else the machine does changes slowly.
    let carried = differences(of(&slices, (Listener::Plain, CACHED))?, of(&slices, (Listener::Plain, NONE))?);
    let added = |listener, baseline: &[f64]| -> Result<Value> {
        let kinds = COLD.map(|(kind, _)| kind).into_iter().chain([CACHED]);
        let added =
            |kind| median(differences(&differences(of(&slices, (listener, kind))?, baseline), &carried));
        kinds.map(|kind| Ok((kind.to_owned(), rounded(added(kind)?)))).collect()
    };
    let (plain, without) = (of(&slices, (Listener::Plain, NONE))?, of(&slices, (Listener::Veilwire, NONE))?);
    Ok(json!({
        "identity": { "added_us": added(Listener::Veilwire, without)? },
        "jwt_authn": { "added_us": added(Listener::JwtAuthn, plain)? },
        "exchange": {
            "plain_us": rounded(median(plain.to_vec())?),
            "carried_token_us": rounded(median(carried.clone())?),
            "without_token_us": rounded(median(without.to_vec())?),
        },
        "decide": decisions()?,
        "rounds": rounds,
    }))
}

/// What a decision costs; not in a debug build, whose figures would say nothing.
fn decisions() -> Result<Value> {
    if cfg!(debug_assertions) {
        return Ok(Value::Null);
    }
    let nanos =
        |size| decide::figures(size, true).map(|figures| figures.nanos).map_err(|error| anyhow!("{error}"));
    let all = decide::SIZES.map(|size| Ok((format!("ns_{size}"), json!(u64::try_from(nanos(size)?)?))));
    all.into_iter().collect()
}

fn of<'s>(slices: &'s Slices, key: (Listener, &'static str)) -> Result<&'s [f64]> {
    slices.get(&key).map(Vec::as_slice).with_context(|| format!("nothing measured of {key:?}"))
}

/// Slice by slice.
fn differences(some: &[f64], others: &[f64]) -> Vec<f64> {
    some.iter().zip(others).map(|(one, other)| one - other).collect()
}

fn median(mut all: Vec<f64>) -> Result<f64> {
    all.sort_by(f64::total_cmp);
    all.get(all.len() / 2).copied().context("no slices")
}

fn rounded(micros: f64) -> Value {
    json!((micros * 10.0).round() / 10.0)
}

fn print(figures: &Value) {
    println!("\nadded CPU per request, in microseconds    Veilwire   jwt_authn + rbac");
    for kind in [CACHED, "rs256", "es256", "eddsa"] {
        let of = |name: &str| figures.pointer(&format!("/{name}/added_us/{kind}")).map(Value::to_string);
        let (ours, theirs) = (of("identity").unwrap_or_default(), of("jwt_authn").unwrap_or_default());
        println!("{kind:<40} {ours:>9} {theirs:>18}");
    }
    println!("an exchange: {}", figures.get("exchange").unwrap_or(&Value::Null));
    println!("decide: {}", figures.get("decide").unwrap_or(&Value::Null));
}

/// A client on one connection to one listener.
struct Client {
    listener: Listener,
    http: Connection,
}

impl Client {
    fn exchange(&mut self, token: Option<&str>) -> Result<u16> {
        self.http.exchange(token)
    }
}

/// A connection, one exchange after the other.
pub(crate) struct Connection(pub(crate) Http1Client);

impl Connection {
    /// CPU time of Envoy for one exchange, in microseconds: one with each of these tokens.
    fn slice(&mut self, listener: Listener, site: &Site, tokens: &[Option<&str>]) -> Result<f64> {
        let before = cpu::of_process(site.envoy.id())?;
        for token in tokens {
            let status = self.exchange(*token)?;
            ensure!(status == 204, "{listener:?}: status {status}\n{}", site.envoy.log_tail());
        }
        let nanos = cpu::of_process(site.envoy.id())?.saturating_sub(before);
        #[expect(clippy::cast_precision_loss, reason = "a slice takes far less than 2^53 ns")]
        Ok(nanos as f64 / tokens.len() as f64 / 1000.0)
    }

    fn exchange(&mut self, token: Option<&str>) -> Result<u16> {
        let fields = [("content-length", "0"), (scenario::HEADER, "head")];
        let mut head = RequestHead::new("POST", "/chat", &fields);
        head.authority = "llm.test".to_owned();
        if let Some(token) = token {
            head.headers.push((b"authorization".to_vec(), format!("Bearer {token}").into_bytes()));
        }
        self.0.send(&head.to_http1())?;
        Ok(self.0.response()?.head.status)
    }
}

/// Tokens of the test issuer.
struct Tokens {
    issuer: &'static TokenIssuer,
    now: u64,
    made: u64,
    cached: String,
}

impl Tokens {
    fn new() -> Result<Self> {
        let mut tokens =
            Self { issuer: TokenIssuer::shared()?, now: unix_seconds()?, made: 0, cached: String::new() };
        tokens.cached = tokens.issuer.mint(Algorithm::Rs256, &tokens.claims())?;
        Ok(tokens)
    }

    /// As many as a slice needs; none was there before.
    fn fresh(&mut self, algorithm: Algorithm) -> Result<Vec<String>> {
        (0..SLICE).map(|_| self.issuer.mint(algorithm, &self.claims())).collect()
    }

    fn forged(&mut self) -> Result<String> {
        let (signed, shown) = (self.claims(), self.claims());
        self.issuer.tampered(Algorithm::Rs256, &signed, &shown)
    }

    fn claims(&mut self) -> Claims {
        self.made += 1;
        // From a little before now, in case the clocks of two cores disagree.
        Claims::new("https://idp.test", "gateway", "agent-7", self.now.saturating_sub(5))
            .groups(&["agents"])
            .with("jti", json!(format!("token-{:08}", self.made)))
            .with("exp", json!(self.now + 3600))
    }
}
