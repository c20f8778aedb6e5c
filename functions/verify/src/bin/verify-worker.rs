//! Cold start of `verify-worker`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    verify::run_worker().await
}
