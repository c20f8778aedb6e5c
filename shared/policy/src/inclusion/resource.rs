//! One question: given the statements that cover an action, is there a resource that the candidate's statement allows
//! and the reference does not?

use std::ops::ControlFlow;

use super::Scene;
use super::automaton::{Automaton, Visit};
use super::rule::{Rule, Rules, Target, Term, follows};
use crate::arn::type_glob;
use crate::budget::{Budget, Exhausted};
use crate::catalogue::Universe;
use crate::glob::{Glob, Token};

/// Longer examples are not tried; no ARN is longer (AWS: IAM API reference, `arnType`).
const MAX_ARN: usize = 2_048;

/// The answer for one statement and one group of actions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// No such resource.
    Included,
    /// This resource; `conditional` if it hangs on conditions or unknown variables.
    Exceeds { resource: String, conditional: bool },
    /// Beyond the budget.
    Undecided,
}

/// The statements that cover an action, sorted by what they do.
#[derive(Debug)]
pub(super) struct Selected {
    candidate_denies: Vec<usize>,
    reference_allows: Vec<usize>,
    reference_denies: Vec<usize>,
    /// Whether a deny of the candidate leaves nothing.
    denied: bool,
    /// What is no excess for certain, whoever allows it: denied by the candidate or allowed by the reference. Sorted.
    settled: Vec<usize>,
    /// The same under conditions.
    settled_conditionally: Vec<(usize, usize)>,
    /// Number of resource patterns of these statements.
    pub(super) size: usize,
}

impl Selected {
    pub(super) fn new(rules: &Rules<'_>, selected: &[usize]) -> Self {
        let sort = |candidate: bool, allows: bool| -> Vec<usize> {
            selected
                .iter()
                .copied()
                .filter(|rule| rules.rules[*rule].candidate == candidate && rules.rules[*rule].allows == allows)
                .collect()
        };
        let (candidate_denies, reference_allows) = (sort(true, false), sort(false, true));
        let mut reference_denies = sort(false, false);
        // What the candidate denies as well takes nothing from the reference that matters.
        reference_denies
            .retain(|refusal| !candidate_denies.iter().any(|deny| rules.rules[*deny].is_like(&rules.rules[*refusal])));
        let (mut settled, mut settled_conditionally) = (Vec::new(), Vec::new());
        let settling = candidate_denies.iter().chain(reference_allows.iter().filter(|_| reference_denies.is_empty()));
        for (number, rule) in settling
            .map(|number| (*number, &rules.rules[*number]))
            .filter(|(_, rule)| !rule.statement.excludes_resources())
        {
            let certain = rule.targets.iter().filter_map(|target| target.certain);
            if rule.is_conditional() {
                settled_conditionally.extend(certain.map(|glob| (number, glob)));
            } else {
                settled.extend(certain);
            }
        }
        settled.sort_unstable();
        settled.dedup();
        let all = candidate_denies.iter().chain(&reference_allows).chain(&reference_denies);
        Self {
            size: all.map(|rule| 1 + rules.rules[*rule].targets.len()).sum(),
            denied: candidate_denies.iter().any(|deny| rules.rules[*deny].is_total(&rules.globs)),
            candidate_denies,
            reference_allows,
            reference_denies,
            settled,
            settled_conditionally,
        }
    }

    fn all(&self) -> impl Iterator<Item = usize> {
        self.candidate_denies.iter().chain(&self.reference_allows).chain(&self.reference_denies).copied()
    }
}

/// Whether one statement exceeds the reference.
pub(super) struct Question<'q, 'd> {
    rules: &'q Rules<'d>,
    selected: &'q Selected,
    own: &'q Rule<'d>,
    /// Whether names of the resources may hold colons.
    colons: bool,
    /// The statement's own patterns.
    targets: Vec<Target>,
}

impl<'q, 'd> Question<'q, 'd> {
    pub(super) fn new(rules: &'q Rules<'d>, selected: &'q Selected, own: usize, colons: bool) -> Self {
        let own = &rules.rules[own];
        let targets = own.targets.iter().map(|target| if colons { *target } else { target.without_colons() }).collect();
        Self { rules, selected, own, colons, targets }
    }

    /// Looks among the resources of `universe`; `kinds` are its types, for witnesses that look real.
    pub(super) fn decide(
        &self,
        universe: &[usize],
        kinds: Option<&Universe>,
        scene: &Scene,
        budget: &Budget,
    ) -> Answer {
        self.try_decide(universe, kinds, scene, budget).unwrap_or(Answer::Undecided)
    }

    fn try_decide(
        &self,
        universe: &[usize],
        kinds: Option<&Universe>,
        scene: &Scene,
        budget: &Budget,
    ) -> Result<Answer, Exhausted> {
        if self.is_plainly_included(universe, budget)? {
            return Ok(Answer::Included);
        }
        let samples = kinds.map(|kinds| samples(kinds, scene)).unwrap_or_default();
        for resource in samples.into_iter().chain(self.instances(universe, scene)) {
            budget.spend(200 + 5 * resource.len())?;
            let matches = |glob: usize| budget.matches(&self.rules.globs[glob], &resource);
            if resource.len() > MAX_ARN || !universe.iter().any(|glob| matches(*glob)) {
                continue;
            }
            if let Some(conditional) = self.exceeds(&matches, budget)? {
                return Ok(Answer::Exceeds { resource, conditional });
            }
        }
        self.search(universe, scene, budget)
    }

    /// Proofs that need no search.
    fn is_plainly_included(&self, universe: &[usize], budget: &Budget) -> Result<bool, Exhausted> {
        if self.selected.denied {
            return Ok(true);
        }
        let globs = &self.rules.globs;
        let selects = !self.own.statement.excludes_resources();
        budget.spend(20 * (1 + self.targets.len()) * (1 + universe.len()))?;
        let everything = |target: &Target| target.certain.is_some_and(|certain| globs[certain].is_anything());
        if !selects && self.targets.iter().any(everything) {
            return Ok(true);
        }
        if selects
            && self
                .targets
                .iter()
                .all(|target| universe.iter().all(|glob| plainly_disjoint(&globs[target.most], &globs[*glob])))
        {
            return Ok(true);
        }
        let selected = self.selected;
        if selects && self.targets.iter().all(|target| selected.settled.binary_search(&target.most).is_ok()) {
            return Ok(true);
        }
        budget.spend(
            40 * (selected.settled.len() + selected.settled_conditionally.len())
                * (universe.len() + self.targets.len()),
        )?;
        let conditional = selected
            .settled_conditionally
            .iter()
            .filter(|(rule, _)| self.rules.rules[*rule].holds_wherever(self.own))
            .map(|(_, glob)| glob);
        let settled: Vec<usize> = selected.settled.iter().chain(conditional).copied().collect();
        let covered = |glob: usize| settled.iter().any(|cover| globs[*cover].plainly_covers(&globs[glob]));
        Ok((selects && self.targets.iter().all(|target| covered(target.most)))
            || universe.iter().all(|glob| covered(*glob)))
    }

    /// Whether the candidate's statement allows a resource that the reference does not, and if so whether it hangs on
    /// anything unknown.
    fn exceeds(&self, matches: &dyn Fn(usize) -> bool, budget: &Budget) -> Result<Option<bool>, Exhausted> {
        let allows = self.own.terms(self.colons, matches);
        budget.check()?;
        if allows.is_empty() {
            return Ok(None);
        }
        budget.spend(20 * self.selected.size)?;
        let terms = |rules: &[usize]| {
            rules.iter().flat_map(|rule| self.rules.rules[*rule].terms(self.colons, matches)).collect::<Vec<Term>>()
        };
        let denies = terms(&self.selected.candidate_denies);
        budget.spend(10 * allows.len() * (1 + denies.len()))?;
        let alive: Vec<Term> =
            allows.into_iter().filter(|allow| !denies.iter().any(|deny| follows(deny, allow))).collect();
        if alive.is_empty() {
            return Ok(None);
        }
        let (granted, refused) = (terms(&self.selected.reference_allows), terms(&self.selected.reference_denies));
        budget.spend(10 * alive.len() * (1 + granted.len() + refused.len() * (1 + denies.len())))?;
        let included = |allow: &Term| {
            granted.iter().any(|grant| follows(grant, allow))
                && refused.iter().all(|refusal| {
                    let both: Term = refusal.iter().chain(allow).copied().collect();
                    denies.iter().any(|deny| follows(deny, &both))
                })
        };
        Ok(alive.iter().find(|allow| !included(allow)).map(|allow| !allow.is_empty()))
    }

    /// Concrete resources of the statement's own patterns, and of all kinds.
    fn instances(&self, universe: &[usize], scene: &Scene) -> impl Iterator<Item = String> {
        let own = self.targets.iter().filter(|_| !self.own.statement.excludes_resources()).map(|target| target.most);
        own.chain(universe.iter().copied()).flat_map(|glob| {
            let glob = &self.rules.globs[glob];
            let mut found = [(scene.region.as_str(), "x"), ("", "x"), ("", "")]
                .map(|(region, name)| instance(glob, region, &scene.account, name))
                .to_vec();
            found.dedup();
            found
        })
    }

    /// The exact answer: reads all patterns together and decides each set of them that a resource can match.
    fn search(&self, universe: &[usize], scene: &Scene, budget: &Budget) -> Result<Answer, Exhausted> {
        budget.spend(50 * (self.selected.size + self.targets.len()))?;
        let mut numbers: Vec<usize> = universe.to_vec();
        let rules = self.selected.all().map(|rule| &self.rules.rules[rule]).chain([self.own]);
        let targets = rules
            .flat_map(|rule| rule.targets.iter())
            .map(|target| if self.colons { *target } else { target.without_colons() });
        numbers.extend(targets.flat_map(|target| target.certain.into_iter().chain([target.most])));
        numbers.sort_unstable();
        numbers.dedup();
        let globs: Vec<&Glob> = numbers.iter().map(|number| &self.rules.globs[*number]).collect();
        let places = |wanted: &mut dyn Iterator<Item = usize>| {
            wanted.filter_map(|number| numbers.binary_search(&number).ok()).collect::<Vec<_>>()
        };
        let universe = places(&mut universe.iter().copied());
        let own = places(&mut self.targets.iter().map(|target| target.most));
        let needed: Vec<&[usize]> =
            if self.own.statement.excludes_resources() { vec![&universe] } else { vec![&universe, &own] };

        let mut answer = Answer::Included;
        let preferred = format!("xyz{}", scene.account);
        let mut visit = |visit: &Visit<'_>, budget: &Budget| {
            if universe.iter().any(|place| visit.accepts(*place)) {
                budget.spend(20 * (self.selected.size + self.targets.len()))?;
                let matches = |glob: usize| numbers.binary_search(&glob).is_ok_and(|place| visit.accepts(place));
                if let Some(conditional) = self.exceeds(&matches, budget)? {
                    answer = Answer::Exceeds { resource: visit.text(), conditional };
                    return Ok(ControlFlow::Break(()));
                }
            }
            Ok(ControlFlow::Continue(()))
        };
        Automaton::new(&globs, &preferred, budget)?.explore(&needed, budget, &mut visit)?;
        Ok(answer)
    }
}

/// The resources of these types as patterns.
pub(super) fn universe_globs(universe: &Universe, partition: &str) -> Vec<Glob> {
    let mut globs: Vec<Glob> = universe.arns.iter().map(|arn| type_glob(arn, partition, universe.colons)).collect();
    if universe.star {
        globs.push(Glob::new([Token::Literal('*')]));
    }
    globs
}

/// Resources such as a person would name: the own user, another one, a role.
fn samples(universe: &Universe, scene: &Scene) -> Vec<String> {
    let mut samples = Vec::new();
    let mut arns = universe.arns.clone();
    // Users first, then the plainest.
    arns.sort_by_key(|arn| (!arn.contains(":user/"), arn.len()));
    for arn in arns {
        let names: &[&str] =
            if arn.contains(":user/${User") { &[&scene.user_with_path, "other"] } else { &["example"] };
        samples.extend(names.iter().map(|name| fill(arn, scene, name)));
    }
    if universe.star {
        samples.push("*".to_owned());
    }
    samples
}

/// An ARN of the Service Authorization Reference with its variables filled in.
pub(crate) fn fill(arn: &str, scene: &Scene, name: &str) -> String {
    let mut filled = String::new();
    let mut rest = arn;
    while let Some((before, (variable, after))) =
        rest.split_once("${").and_then(|(before, inside)| Some((before, inside.split_once('}')?)))
    {
        filled.push_str(before);
        filled.push_str(match variable {
            "Partition" => &scene.partition,
            "Region" => &scene.region,
            "Account" => &scene.account,
            _ => name,
        });
        rest = after;
    }
    filled + rest
}

/// A text that a pattern matches; whole segments of an ARN become a region and an account.
fn instance(glob: &Glob, region: &str, account: &str, name: &str) -> String {
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

/// A cheap proof that no text matches both: their literal beginnings or ends differ.
fn plainly_disjoint(one: &Glob, other: &Glob) -> bool {
    let differ = |pair: &(&Token, &Token)| matches!(pair, (Token::Literal(one), Token::Literal(other)) if one != other);
    let open = |pair: &(&Token, &Token)| !pair.0.repeats() && !pair.1.repeats();
    let (one, other) = (one.tokens(), other.tokens());
    one.iter().zip(other).take_while(open).any(|pair| differ(&pair))
        || one.iter().rev().zip(other.iter().rev()).take_while(open).any(|pair| differ(&pair))
}
