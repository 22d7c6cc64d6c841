//! Any text as a policy: no panic, no contradiction in the compiler, the same answer twice, and what compiles loads.
#![no_main]

use libfuzzer_sys::fuzz_target;
use veilwire_engine::policy::Policy;
use veilwire_fuzz::policies::{deployment, files};
use veilwire_policy_compiler::{Source, compile_policy};

fuzz_target!(|data: &[u8]| {
    let Ok(text) = std::str::from_utf8(data) else { return };
    let source = Source::new("policy.yaml", text);
    match compile_policy(&source, &files(), &deployment()) {
        Ok(compiled) => {
            let policy = Policy::load(&compiled.artifact).expect("what the compiler writes loads");
            assert_eq!(policy.digest(), compiled.digest);
            let again = compile_policy(&source, &files(), &deployment()).expect("it compiled before");
            assert!(again == compiled, "two runs gave two results");
        }
        Err(problems) => {
            assert!(!problems.items().is_empty(), "refused without a reason");
            for problem in problems.items() {
                assert_ne!(
                    problem.code.as_str(),
                    "E0999",
                    "the compiler contradicts itself: {}",
                    problem.message
                );
            }
        }
    }
});
