//! Every function answers exactly the routes that the template gives it.

use std::collections::BTreeSet;

use super::stack;
use crate::serverless::FunctionResource;

#[test]
fn every_function_answers_exactly_its_routes_of_the_template() {
    let stack = stack();
    for function in stack.all::<FunctionResource>() {
        let answered: BTreeSet<String> = match function.binary.as_str() {
            "verify" => verify::ROUTES,
            "revoke" => revoke::ROUTES,
            // No HTTP route reaches a function that can open a secret.
            "send" | "revoke-worker" => &[],
            binary => panic!("{binary} is a new function: say here which routes it answers"),
        }
        .iter()
        .map(|route| (*route).to_owned())
        .collect();
        let routed: BTreeSet<String> =
            function.routes.iter().map(|route| format!("{} {}", route.method, route.path)).collect();
        assert_eq!(routed, answered, "{}", function.logical_id);
    }
}
