//! Cold start of `verify`.

#[tokio::main(flavor = "current_thread")]
async fn main() -> anyhow::Result<()> {
    verify::run().await
}
