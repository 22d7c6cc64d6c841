//! What a content says about places, as patterns with what they stand for.

use super::{InvalidPlan, Marker};
use crate::policy::model::Content;
use crate::policy::path::{PathPattern, PathStep};

/// No key of a form: the place below which the names of forms are. A member of JSON that is really called so is masked
/// like the fields of a form, which is no harm.
pub(super) const FORM: &str = "\0form";

/// A delta stream may be an array: what holds for a document holds for its elements.
pub(super) fn add_elements(patterns: &mut Vec<(Vec<PathStep>, Marker<'_>)>) {
    add_below(&PathStep::AnyElement, patterns);
}

/// What holds at the top holds below this step as well.
pub(super) fn add_below(step: &PathStep, patterns: &mut Vec<(Vec<PathStep>, Marker<'_>)>) {
    let anywhere = |steps: &[PathStep]| steps.first() == Some(&PathStep::Descend);
    let below = patterns.iter().filter(|(steps, _)| !anywhere(steps)).map(|(steps, marker)| {
        let steps = std::iter::once(step).chain(steps).cloned();
        (steps.collect(), *marker)
    });
    let below: Vec<_> = below.collect();
    patterns.extend(below);
}

/// A content without its signed texts, and the places of these. Their signatures are never touched.
pub(super) fn left(content: &Content) -> (Content, Vec<PathPattern>) {
    let mut rest = content.clone();
    let mut texts = Vec::new();
    for signed in std::mem::take(&mut rest.signed) {
        texts.push(signed.text);
        rest.skip.push(signed.signature);
    }
    rest.channels.retain(|channel| {
        let Some(signature) = &channel.signature else { return true };
        texts.extend(channel.fragments.iter().cloned());
        rest.skip.push(signature.clone());
        false
    });
    (rest, texts)
}

/// Marks attributes and their members.
pub(super) fn add_attributes(content: &Content, patterns: &mut Vec<(Vec<PathStep>, Marker<'_>)>) {
    for path in &content.attributes {
        let member = |name: &str| [path.steps(), &[PathStep::Key(name.to_owned())]].concat();
        patterns.push((path.steps().to_vec(), Marker::Attribute));
        patterns.push((member("key"), Marker::AttributeKey));
        patterns.push((member("value"), Marker::AttributeValue));
    }
}

/// Adds everything of a content but its channels.
pub(super) fn add_content<'p>(
    content: &Content,
    patterns: &mut Vec<(Vec<PathStep>, Marker<'p>)>,
) -> Result<(), InvalidPlan> {
    let plain = [
        (&content.skip, Marker::Skip),
        (&content.null, Marker::Null),
        (&content.nested, Marker::Nested),
        (&content.once, Marker::Once),
    ];
    for (paths, marker) in plain {
        patterns.extend(paths.iter().map(|path| (path.steps().to_vec(), marker)));
    }
    for (pair, signed) in content.signed.iter().enumerate() {
        let (text, signature) = (signed.text.steps(), signed.signature.steps());
        let common = text.iter().zip(signature).take_while(|(a, b)| a == b).count();
        let followable = |step: &PathStep| matches!(step, PathStep::Key(_) | PathStep::AnyElement);
        let names = |rest: Option<&[PathStep]>| {
            rest.is_some_and(|rest| {
                !rest.is_empty() && rest.iter().all(|step| matches!(step, PathStep::Key(_)))
            })
        };
        // Below the common object only names may follow: a list would have many texts for one signature.
        if !text.iter().all(followable) || !names(text.get(common..)) || !names(signature.get(common..)) {
            return Err(InvalidPlan::Signature);
        }
        patterns.push((text.to_vec(), Marker::SignedText(pair)));
        patterns.push((signature.to_vec(), Marker::Signature(pair)));
        patterns.push((text.get(..common).unwrap_or_default().to_vec(), Marker::SignedHere(pair)));
    }
    Ok(())
}
