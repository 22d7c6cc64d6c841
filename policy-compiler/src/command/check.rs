//! `veilwire check`: everything `compile` does but the writing, and what the policy amounts to.

use super::{compile, folder_of, show, warnings};
use crate::cli::{Format, Outcome, PolicyArguments};
use crate::coverage::request_of;
use crate::emit::envoy::Deployment;
use crate::output;
use veilwire_engine::policy::id::RouteId;
use veilwire_engine::policy::model::{Effect, Model};

/// Arguments of `check`.
#[derive(Clone, Debug, clap::Args)]
pub struct Arguments {
    #[command(flatten)]
    policy: PolicyArguments,
}

/// Runs `check`.
pub fn run(arguments: &Arguments) -> Outcome {
    let folder = match folder_of(&arguments.policy.policy) {
        Ok(folder) => folder.display().to_string(),
        Err(outcome) => return outcome,
    };
    let deployment = Deployment { wasm: format!("{folder}/veilwire_filter.wasm"), files: folder };
    let (source, compiled) = match compile(&arguments.policy, &deployment) {
        Ok(found) => found,
        Err(outcome) => return outcome,
    };
    show(&source, &compiled.warnings, arguments.policy.format);
    if arguments.policy.format == Format::Human {
        output::print(&summary(&compiled.model));
        let size = compiled.artifact.len();
        output::print(&format!(
            "{}: sound, {}, artifact {size} bytes\n",
            source.name,
            warnings(&compiled.warnings)
        ));
    }
    Outcome::Clean
}

/// Who may do what, route by route, most specific first.
#[must_use]
pub fn summary(model: &Model) -> String {
    let mut text = String::new();
    for (id, route) in (0..).map(RouteId).zip(&model.routes) {
        text.push_str(&format!("{}  {}\n", route.name, request_of(route)));
        let mut silent = true;
        for rule in model.rules.iter().filter(|rule| rule.routes.contains(&id)) {
            let groups: Vec<&str> = rule
                .groups
                .iter()
                .filter_map(|group| model.groups.get(group.index()))
                .map(|group| group.name.as_str())
                .collect();
            let masks: Vec<&str> = rule
                .masks
                .iter()
                .filter_map(|mask| model.masks.get(mask.index()))
                .map(|mask| mask.name.as_str())
                .collect();
            let groups = if rule.anyone { "*".to_owned() } else { groups.join(", ") };
            let only = match (rule.observe, rule.predicates.is_empty()) {
                (true, _) => ", only observed",
                (false, false) => ", on conditions",
                (false, true) => "",
            };
            text.push_str(&match (rule.effect, masks.as_slice()) {
                (Effect::MayNot, _) => format!("  {groups} may not{only}  ({})\n", rule.name),
                (Effect::May, []) => format!("  {groups} may{only}, unmasked  ({})\n", rule.name),
                (Effect::May, masks) => {
                    format!("  {groups} may{only}, masked by {}  ({})\n", masks.join(", "), rule.name)
                }
            });
            silent = false;
        }
        if silent {
            text.push_str("  nobody may\n");
        }
    }
    text.push_str("everything else is denied\n");
    text
}
