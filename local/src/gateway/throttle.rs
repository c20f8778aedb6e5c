//! API Gateway's throttling of routes: a token bucket for each
//! (<https://docs.aws.amazon.com/apigateway/latest/developerguide/http-api-throttling.html>).

use std::collections::{BTreeMap, HashMap};

use parking_lot::Mutex;
use tokio::time::Instant;

use crate::serverless::RouteThrottling;

/// The buckets of all routes.
#[derive(Debug)]
pub(super) struct RouteThrottle {
    limits: Option<RouteThrottling>,
    by_route: BTreeMap<String, RouteThrottling>,
    buckets: Mutex<HashMap<String, TokenBucket>>,
}

/// The tokens that a route has left.
#[derive(Debug)]
struct TokenBucket {
    tokens: f64,
    filled_at: Instant,
}

impl RouteThrottle {
    /// Full buckets of these limits, and of others for single routes. Without limits every request passes.
    pub(super) fn new(limits: Option<RouteThrottling>, by_route: BTreeMap<String, RouteThrottling>) -> Self {
        Self { limits, by_route, buckets: Mutex::default() }
    }

    /// Whether a route takes one more request now.
    pub(super) fn admit(&self, route_key: &str, now: Instant) -> bool {
        let limits = self.by_route.get(route_key).copied().or(self.limits);
        let Some(RouteThrottling { rate, burst }) = limits else { return true };
        let burst = f64::from(burst);
        let mut buckets = self.buckets.lock();
        if !buckets.contains_key(route_key) {
            buckets.insert(route_key.to_owned(), TokenBucket { tokens: burst, filled_at: now });
        }
        let Some(bucket) = buckets.get_mut(route_key) else { return true };
        let elapsed = now.saturating_duration_since(bucket.filled_at).as_secs_f64();
        bucket.tokens = elapsed.mul_add(f64::from(rate), bucket.tokens).min(burst);
        bucket.filled_at = now;
        let has_token = bucket.tokens >= 1.0;
        if has_token {
            bucket.tokens -= 1.0;
        }
        has_token
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn a_route_takes_a_burst_and_then_its_rate_whatever_the_others_take() {
        let throttle = RouteThrottle::new(
            Some(RouteThrottling { rate: 2, burst: 3 }),
            BTreeMap::from([("GET /b".to_owned(), RouteThrottling { rate: 1, burst: 1 })]),
        );
        let start = Instant::now();
        let passed = |route: &str, at: Duration| (0..10).filter(|_| throttle.admit(route, start + at)).count();
        assert_eq!(passed("GET /a", Duration::ZERO), 3);
        assert_eq!(passed("POST /a", Duration::ZERO), 3);
        assert_eq!(passed("GET /b", Duration::ZERO), 1);
        assert_eq!(passed("GET /a", Duration::from_secs(1)), 2);
        assert_eq!(passed("GET /a", Duration::from_secs(60)), 3);
    }

    #[test]
    fn without_limits_every_request_passes() {
        let throttle = RouteThrottle::new(None, BTreeMap::new());
        assert!((0..10_000).all(|_| throttle.admit("GET /a", Instant::now())));
    }
}
