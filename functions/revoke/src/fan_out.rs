//! The fan-out of an order for more than one provider: its providers are listed, their keys pinned page by page, stopped,
//! and each page enqueued for `revoke-worker`.
//!
//! Both functions run it. `revoke` begins when it takes the order, and the sweep and the worker go on where it ended: what
//! was listed so far stands in the order, and no two of them write the same page.

use std::collections::HashSet;

use jiff::Timestamp;
use shared::id::{AccessKeyId, OrderId};
use shared::queue::Queue;
use shared::record::{
    FENCE_CLOSED_FOR, FanOut, KEYS_ON_A_PAGE, KeyItem, ListedProvider, Order, OrderPage, Pass, Providers, RecordError,
    Secrets, StatusName,
};
use shared::runtime::Ambient;
use shared::telemetry::chain;
use tokio::task::JoinSet;

use crate::work_item::enqueue_page;

/// Keys that are stopped at the same time.
const CONCURRENT_STOPS: usize = 25;

/// Pages whose keys are stopped at the same time.
const CONCURRENT_PAGES: usize = 2;

/// What the fan-out needs.
#[derive(Clone)]
pub(crate) struct FanOutRun {
    pub(crate) providers: Providers,
    pub(crate) secrets: Secrets,
    pub(crate) queue: Queue,
    pub(crate) ambient: Ambient,
    /// The function, for the audit trail.
    pub(crate) by: &'static str,
}

/// How far a run came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum ListOutcome {
    /// All providers are listed, for the second time too.
    Over,
    /// All are listed once; the second pass begins at this time.
    Waits(Timestamp),
    /// There was no time for more.
    OutOfTime,
}

impl FanOutRun {
    /// Lists providers of an order and stops their keys until `until`, and at least one page. The keys of a page are stopped
    /// while the next ones are listed. Returns the order as it is then.
    ///
    /// # Errors
    /// The order or the list could not be read or written; what was done so far stays done.
    pub(crate) async fn list_on(
        &self,
        order_id: &OrderId,
        until: Timestamp,
    ) -> Result<(Option<Order>, ListOutcome), RecordError> {
        let mut executing = JoinSet::new();
        let listed = self.list_pages(order_id, until, &mut executing).await;
        executing.join_all().await;
        let outcome = listed?;
        Ok((self.providers.order(order_id).await?, outcome))
    }

    async fn list_pages(
        &self,
        order_id: &OrderId,
        until: Timestamp,
        executing: &mut JoinSet<bool>,
    ) -> Result<ListOutcome, RecordError> {
        let Some(mut order) = self.providers.order(order_id).await? else { return Ok(ListOutcome::Over) };
        loop {
            let Some(before) = order.fan_out.clone() else { return Ok(ListOutcome::Over) };
            let now = self.ambient.now();
            if let Some(second_pass) = before.waits_until(now) {
                return Ok(ListOutcome::Waits(second_pass));
            }
            if before.pass == Pass::Over {
                return Ok(ListOutcome::Over);
            }
            match self.list_page(&order, &before, now).await? {
                Some((after, page)) => {
                    order.fan_out = Some(after);
                    if !page.access_key_ids.is_empty() {
                        let (run, order) = (self.clone(), order.clone());
                        executing.spawn(async move { run.execute_page(&order, &page).await });
                    }
                }
                // Somebody else has listed it.
                None => match self.providers.order(order_id).await? {
                    Some(current) => order = current,
                    None => return Ok(ListOutcome::Over),
                },
            }
            if self.ambient.now() >= until {
                return Ok(ListOutcome::OutOfTime);
            }
            if executing.len() >= CONCURRENT_PAGES {
                executing.join_next().await;
            }
        }
    }

    /// Lists one page and pins its keys. Returns how far that is, and the page; `None` if somebody else has listed on
    /// since `before` was read.
    async fn list_page(
        &self,
        order: &Order,
        before: &FanOut,
        now: Timestamp,
    ) -> Result<Option<(FanOut, OrderPage)>, RecordError> {
        let listed = self.providers.list_scope(&order.scope, before.after.as_ref(), KEYS_ON_A_PAGE).await?;
        let keys = match before.pass {
            Pass::First => self.keys_of_first_pass(&listed.providers).await?,
            Pass::Repeat | Pass::Over => self.keys_of_second_pass(order, before, &listed.providers).await?,
        };
        let after = before.with_page(&listed, keys.len(), now);
        let page = OrderPage { page: after.pages, access_key_ids: keys };
        let is_written =
            self.providers.add_page(&order.order_id, before, &after, page.access_key_ids.clone(), now).await?;
        Ok(is_written.then_some((after, page)))
    }

    /// The keys of the providers that the index does not show as dead. Those that were stopped before get this order too, so
    /// that what kept them alive is tried again at once.
    async fn keys_of_first_pass(&self, listed: &[ListedProvider]) -> Result<Vec<AccessKeyId>, RecordError> {
        let may_live = listed.iter().filter(|provider| provider.may_live());
        let mut ids: Vec<_> = may_live.map(|provider| provider.access_key_id.clone()).collect();
        let others: Vec<_> = listed.iter().flat_map(ListedProvider::other_keys).cloned().collect();
        if !others.is_empty() {
            let others = self.providers.keys(&others).await?.into_iter();
            let not_dead = others.filter(|(_, key)| key.as_ref().is_some_and(|key| !key.state.is_dead()));
            ids.extend(not_dead.map(|(id, _)| id));
        }
        Ok(ids)
    }

    /// The keys of providers that are still in use and on no page: they were stored while the first pass ran.
    async fn keys_of_second_pass(
        &self,
        order: &Order,
        fan_out: &FanOut,
        listed: &[ListedProvider],
    ) -> Result<Vec<AccessKeyId>, RecordError> {
        // What was handed over later was handed over after the report.
        let until = order.created_at.saturating_add(FENCE_CLOSED_FOR).unwrap_or(Timestamp::MAX);
        let in_use = |provider: &ListedProvider| {
            let is_in_use = matches!(provider.status, StatusName::Active | StatusName::Suspended);
            let own = Some(&provider.access_key_id).filter(|_| is_in_use);
            let keys = own.into_iter().chain(provider.other_keys());
            keys.filter(|id| provider.handed_over_at(id) < until).cloned().collect::<Vec<_>>()
        };
        let ids: Vec<_> = listed.iter().flat_map(in_use).collect();
        if ids.is_empty() {
            return Ok(ids);
        }
        let keys = self.providers.keys(&ids).await?;
        let mut left: Vec<_> = keys
            .into_iter()
            .filter(|(_, key)| key.as_ref().is_some_and(|key| !key.state.is_stopped()))
            .map(|(id, _)| id)
            .collect();
        if !left.is_empty() {
            // A stop may have failed: such a key is on a page already.
            let pages = self.providers.pages(&order.order_id, 1, fan_out.pages).await?;
            let pinned: HashSet<AccessKeyId> = pages.into_iter().flat_map(|page| page.access_key_ids).collect();
            left.retain(|id| !pinned.contains(id));
        }
        Ok(left)
    }

    /// Stops a page's keys and enqueues the page. It can be repeated. A page of which this fails stays due for the sweep.
    /// Returns whether nothing is left to do for it here.
    pub(crate) async fn execute_page(&self, order: &Order, page: &OrderPage) -> bool {
        let is_stopped = self.stop_keys(order, &page.access_key_ids).await;
        let enqueued = enqueue_page(&self.queue, order, page).await;
        if let Err(error) = &enqueued {
            tracing::error!(
                order_id = %order.order_id,
                page = page.page,
                error = chain(error),
                "page of an order not enqueued: the sweep retries"
            );
        }
        if !is_stopped || enqueued.is_err() {
            return false;
        }
        let finished = self.providers.finish_page(&order.order_id, page.page).await;
        finished
            .inspect_err(|error| {
                tracing::warn!(
                    order_id = %order.order_id,
                    page = page.page,
                    error = chain(error),
                    "page of an order enqueued, but not taken off the sweep: the sweep enqueues it again"
                );
            })
            .is_ok()
    }

    /// Stops keys for an order, some at a time. One key's error does not stop the others. Returns whether all are stopped.
    async fn stop_keys(&self, order: &Order, access_key_ids: &[AccessKeyId]) -> bool {
        let mut is_stopped = true;
        for ids in access_key_ids.chunks(CONCURRENT_STOPS) {
            let mut stops = JoinSet::new();
            for access_key_id in ids {
                let (run, order, access_key_id) = (self.clone(), order.clone(), access_key_id.clone());
                stops.spawn(async move { run.stop_key(&order, &access_key_id).await });
            }
            is_stopped &= stops.join_all().await.iter().all(Option::is_some);
        }
        is_stopped
    }

    /// Stops a key for an order. Returns the key as it is now; `None` if that failed, so that it may still be in use.
    pub(crate) async fn stop_key(&self, order: &Order, access_key_id: &AccessKeyId) -> Option<KeyItem> {
        let stop = self.providers.stop(access_key_id, order, self.by, &self.secrets, &self.ambient);
        match Box::pin(stop).await {
            Ok((stop, key)) => {
                tracing::info!(
                    order_id = %order.order_id,
                    access_key_id = access_key_id.masked(),
                    provider_id = key.owner.as_ref().map(|owner| owner.provider_id.as_str()),
                    state = %key.state,
                    stop = ?stop,
                    "key of an order stopped"
                );
                Some(key)
            }
            Err(error) => {
                tracing::error!(
                    order_id = %order.order_id,
                    access_key_id = access_key_id.masked(),
                    error = chain(&error),
                    "key not stopped: it may still be in use"
                );
                None
            }
        }
    }
}
