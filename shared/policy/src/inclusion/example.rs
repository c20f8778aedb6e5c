//! Example resources, which prove most excesses without a search.

use crate::catalogue::ResourceTypes;
use crate::glob::{Glob, Token};
use crate::principal::ResolvedPrincipal;

/// Resources such as a person would name: the principal itself, another user, a role.
pub(super) fn examples_of_types(types: &ResourceTypes, principal: &ResolvedPrincipal) -> Vec<String> {
    let mut examples = Vec::new();
    let mut arns = types.arns.clone();
    // Users first, then the shortest.
    arns.sort_by_key(|arn| (!arn.contains(":user/"), arn.len()));
    for arn in arns {
        let names: &[&str] =
            if arn.contains(":user/${User") { &[&principal.user_with_path, "other"] } else { &["example"] };
        examples.extend(names.iter().map(|name| principal.fill_arn(arn, name)));
    }
    if types.allows_star {
        examples.push("*".to_owned());
    }
    examples
}

/// Texts that a glob matches, the most realistic first.
pub(crate) fn examples_of_glob(glob: &Glob, principal: &ResolvedPrincipal) -> Vec<String> {
    let mut examples = [(principal.region.as_str(), "x"), ("", "x"), ("", "")]
        .map(|(region, name)| example_of_glob(glob, region, &principal.account_id, name))
        .to_vec();
    examples.dedup();
    examples
}

/// A text that a glob matches. A whole segment of an ARN becomes the Region or the account.
fn example_of_glob(glob: &Glob, region: &str, account: &str, name: &str) -> String {
    let tokens = glob.tokens();
    let mut text = String::new();
    let mut segment = 0;
    for (at, token) in tokens.iter().enumerate() {
        match token {
            Token::Literal(literal) => {
                segment += usize::from(*literal == ':');
                text.push(*literal);
            }
            Token::One | Token::OneInSegment => text.push('x'),
            Token::Many | Token::ManyInSegment => {
                let colon = |token: Option<&Token>| matches!(token, None | Some(Token::Literal(':')));
                let whole = colon(tokens.get(at.wrapping_sub(1))) && colon(tokens.get(at + 1));
                text.push_str(match segment {
                    3 if whole => region,
                    4 if whole => account,
                    _ => name,
                });
            }
        }
    }
    text
}
