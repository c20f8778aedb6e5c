//! The search for the Region in which identities of a tenant's account can send. It reads one list in each Region that may be meant,
//! and ends at the first denial.

use std::sync::atomic::Ordering;
use std::time::Duration;

use shared::record::CheckName;
use shared::tenant::Region;
use tokio::time::{Instant, timeout_at};

use super::{MAX_DENIALS, Verification};
use crate::check::region::{RegionAnswer, RegionChoice, RegionDoubt, RegionSearch};
use crate::report_builder::ReportBuilder;

/// Regions that are asked at once, after the first has not denied it. More would only look like a burst.
const AT_ONCE: usize = 4;

/// Limit for one search, which leaves the checks most of their time: with four at once, all Regions of a partition in which SES
/// answers within half a second.
const SEARCH_TIMEOUT: Duration = Duration::from_secs(6);

/// The pause before Regions that do not know the key are asked once more. A new key is known everywhere within seconds.
const NEW_KEY_PAUSE: Duration = Duration::from_secs(3);

impl Verification<'_> {
    /// Finds the Region that is meant among these, and what was seen.
    ///
    /// # Errors
    /// It is not clear which.
    pub(crate) async fn find_region(&self, among: &[Region]) -> Result<(Region, String), Box<RegionDoubt>> {
        let regions: Vec<Region> = self.of_partition(among).collect();
        let mut search = self.search(&regions).await;
        let is_new = |(_, answer): &(Region, RegionAnswer)| *answer == RegionAnswer::KeyRefused;
        if search.verified_in().is_empty() && !search.is_denied() && search.0.iter().any(is_new) {
            let unknown: Vec<Region> = search.0.iter().filter(|seen| is_new(seen)).map(|(region, _)| *region).collect();
            if self.budget.pause(NEW_KEY_PAUSE).await {
                search.0.retain(|seen| !is_new(seen));
                search.0.extend(self.search(&unknown).await.0);
            }
        }
        search.find().map(|region| (region, search.evidence()))
    }

    /// Says of a Region that was chosen among others if identities can send in one of those and not in it.
    pub(super) async fn check_region_choice(&self, report: &mut ReportBuilder) {
        let RegionChoice::Chosen { among, confirmed } = self.region_choice else { return };
        let chosen = self.credential.region;
        let mut search = self.search(&[chosen]).await;
        if search.0.contains(&(chosen, RegionAnswer::Identities(0))) {
            let others: Vec<Region> = self.of_partition(among).filter(|region| *region != chosen).collect();
            search.0.extend(self.search(&others).await.0);
        }
        match search.doubt(chosen, *confirmed) {
            Some(RegionDoubt { check, suggestion }) => {
                report.replace(check);
                report.set_region_suggestion(suggestion);
            }
            None => report.add_evidence(CheckName::SesRegion, &search.evidence()),
        }
    }

    /// A key works in its own partition only.
    fn of_partition<'r>(&self, among: &'r [Region]) -> impl Iterator<Item = Region> + use<'r> {
        let partition = self.credential.region.partition();
        among.iter().copied().filter(move |region| region.partition() == partition)
    }

    /// Asks Regions: the first alone, because a policy that allows no list costs one denial then, and the others some at once.
    async fn search(&self, regions: &[Region]) -> RegionSearch {
        let deadline = Instant::now() + SEARCH_TIMEOUT;
        let mut search = RegionSearch::default();
        let (first, others) = regions.split_at(regions.len().min(1));
        for some in std::iter::once(first).chain(others.chunks(AT_ONCE)) {
            let denials = self.denials.load(Ordering::Relaxed);
            if search.is_denied() || denials + some.len() > MAX_DENIALS || Instant::now() >= deadline {
                break;
            }
            let [one, two, three, four] =
                [0, 1, 2, 3].map(|place| Box::pin(self.ask_region(some.get(place).copied(), deadline)));
            let (one, two, three, four) = tokio::join!(one, two, three, four);
            search.0.extend([one, two, three, four].into_iter().flatten());
        }
        search.0.extend(regions[search.0.len()..].iter().map(|region| (*region, RegionAnswer::Silent)));
        search
    }

    async fn ask_region(&self, region: Option<Region>, deadline: Instant) -> Option<(Region, RegionAnswer)> {
        let region = region?;
        let list = self.call(self.clients.list_identities(self.credential, region));
        let answer = timeout_at(deadline, list).await;
        Some((region, answer.map_or(RegionAnswer::Silent, |answer| RegionAnswer::read(&answer))))
    }
}
