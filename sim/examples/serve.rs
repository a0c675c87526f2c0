//! Serves a simulation until it is interrupted: `cargo run -p herder-sim --example serve -- SPEC [PORT]`.

use std::io::Write as _;

#[tokio::main]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let mut arguments = std::env::args().skip(1);
    let spec = arguments.next().unwrap_or_default();
    let port = arguments.next().map_or(Ok(0), |port| port.parse())?;
    let spec = herder_sim::Spec::read(&spec, &std::env::current_dir()?)?;
    let server = herder_sim::serve(spec, herder_sim::ServeOptions { port, tls: false }).await?;
    let mut out = std::io::stdout();
    writeln!(out, "export AWS_ENDPOINT_URL={}", server.endpoint())?;
    writeln!(out, "export AWS_REGION={0} AWS_DEFAULT_REGION={0}", server.region())?;
    writeln!(
        out,
        "export AWS_ACCESS_KEY_ID={} AWS_SECRET_ACCESS_KEY={}",
        server.access_key(),
        server.secret_key()
    )?;
    out.flush()?;
    tokio::signal::ctrl_c().await?;
    server.shutdown().await;
    Ok(())
}
