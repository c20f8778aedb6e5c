//! `policy explain`: prints the decision about one request, and what each statement contributes to it.

use std::collections::BTreeMap;
use std::io::{self, Write};

use policy::{Applies, AuthorizationRequest, ContextValue, Decision, RequestContext, evaluate};

use super::input::read_documents;
use super::{ExplainArguments, UNREADABLE};
use crate::console::{TextStyle, Tone, escape_controls};

pub(super) fn run(arguments: &ExplainArguments, out: &mut dyn Write) -> io::Result<u8> {
    let Some(documents) = read_documents(&arguments.files, arguments.json, out)? else { return Ok(UNREADABLE) };
    let context = build_context(&arguments.context);
    let evaluation = evaluate(
        &documents,
        &AuthorizationRequest { action: &arguments.action, resource: &arguments.resource, context: &context },
    );
    if arguments.json {
        writeln!(out, "{}", serde_json::to_string_pretty(&evaluation)?)?;
        return Ok(0);
    }
    let style = TextStyle::from_environment();
    let (tone, word) = match evaluation.decision {
        Decision::Allowed => (Tone::Good, "allow"),
        Decision::ImplicitDeny => (Tone::Bad, "implicit deny"),
        Decision::ExplicitDeny => (Tone::Bad, "explicit deny"),
    };
    let by =
        evaluation.by.as_ref().map_or_else(|| "no statement allows it".to_owned(), |by| format!("decided by {by}"));
    writeln!(out, "{}: {}", style.apply(tone, word), escape_controls(by))?;
    for considered in &evaluation.considered {
        let applies = match considered.applies {
            Applies::Yes => "applies",
            Applies::No => "does not apply",
            Applies::Unknown => "may apply",
        };
        let line = format!("  {} ({}) {applies}: {}", considered.statement, considered.effect, considered.reason);
        writeln!(
            out,
            "{}",
            if considered.applies == Applies::Yes { escape_controls(line) } else { style.apply(Tone::Quiet, &line) }
        )?;
    }
    Ok(0)
}

/// The context of the request. A key that is given once has a single value, one that is given more often is multivalued.
fn build_context(pairs: &[(String, String)]) -> RequestContext {
    let mut keys: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for (key, value) in pairs {
        keys.entry(key.to_ascii_lowercase()).or_default().push(value.clone());
    }
    let mut context = RequestContext::new();
    for (key, mut values) in keys {
        let value = if values.len() == 1 { ContextValue::One(values.remove(0)) } else { ContextValue::Many(values) };
        context.insert(&key, value);
    }
    context
}
