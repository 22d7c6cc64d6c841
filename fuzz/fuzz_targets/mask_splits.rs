//! The same body however it is cut: the same output or the same error; and no piece of a planted value in the output.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilwire_engine::format::Format;
use veilwire_fuzz::input::Input;
use veilwire_fuzz::masking::{Case, run_every_way};
use veilwire_fuzz::planted::plant;

fuzz_target!(|data: &[u8]| {
    let mut input = Input(data);
    let case = Case::choose(input.byte());
    let format = input.pick(&[Format::Json, Format::Sse]);
    let cuts = [usize::from(input.word()), usize::from(input.word())];
    let planted = plant(input.rest());
    let outcome = run_every_way(&case.plan, format, &planted.body, cuts);
    // On the other routes there are places that policy or pack leave alone: ids, model names, signatures.
    if case.plain {
        planted.check_masked(&outcome.out);
    }
});
