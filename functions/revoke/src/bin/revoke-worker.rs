//! Cold start of `revoke-worker`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    revoke::run_worker().await
}
