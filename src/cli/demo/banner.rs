//! The banner that a demo prints when it is ready.

use std::path::Path;

use super::super::terminal::{Colour, Terminal};
use super::server::DemoServer;
use super::tokens::Tokens;

/// Renders addresses, tokens and commands to paste. Lines have at most 80 columns, except where a path is long.
pub(super) fn render(server: &DemoServer, summary: &str) -> String {
    let terminal = Terminal::from_stdout();
    let heading = |text: &str| terminal.paint(Colour::Cyan, text);
    let (id, name) = (&server.sample_citizen.id, &server.sample_citizen.name);
    let (listen, admin, program) = (server.listen, server.admin_listen, program());
    let data_dir = relative(&server.settings.data_dir);
    let token_file = shell_path(&Tokens::path(&server.settings));
    format!(
        r#"
{summary}

  {api}      http://{listen}/api/v2
  {metrics}  http://{admin}/metrics
  {data}     {data_dir}
  {citizen}  {name} {id}

{first}

  . {token_file}

  This sets $API, $WHO (the citizen) and one token for each role. The
  tokens are valid for an hour or more; the file always has new ones.

    $CITIZEN      self     {name}: sees the whole profile
    $SERVICE      service  svc:demo: what the citizen shares
    $THIRD_PARTY  service  svc:third-party: if shared with third parties
    $AGENT        agent    agt:demo: eligibility and deadlines
    $ADMIN        admin    adm:demo: needs -H "X-Access-Reason: …"
    $AUDITOR      auditor  aud:demo: sees no profile

{read}

  curl -s $API/profile/$WHO -H "Authorization: Bearer $SERVICE"

{watch}

  . {token_file}
  {program} watch $WHO --server {listen}

{withdraw}

  curl -s -X PUT $API/profile/$WHO/consent \
    -H "Authorization: Bearer $CITIZEN" \
    -H "Content-Type: application/json" \
    -d '{{"data_sharing_level":"minimal"}}'

  With "full" instead of "minimal" the fields come back.

{events} Press Ctrl-C to stop the server.
The next start continues with the same data.
"#,
        events = match server.events_per_second {
            0 => "No new events are posted.".to_owned(),
            rate => format!("{rate} new events are posted every second."),
        },
        api = heading("API"),
        metrics = heading("metrics"),
        data = heading("data"),
        citizen = heading("citizen"),
        first = heading("In a second terminal, in this directory, load the tokens:"),
        read = heading("1. Read the profile, as a service sees it:"),
        watch = heading("2. Watch it live, in a third terminal:"),
        withdraw = heading("3. Withdraw consent, and watch the fields disappear:"),
    )
}

/// The path of this program, quoted for a shell.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| env!("CARGO_PKG_NAME").to_owned(), |path| shell_path(&path))
}

/// Renders a path for a shell in the current directory: quoted where needed, and never a bare name, which a shell would
/// look for in `PATH`.
fn shell_path(path: &Path) -> String {
    let path = relative(path);
    let path = if path.contains('/') { path } else { format!("./{path}") };
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,:@".contains(&byte));
    if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// Renders a path relative to the current directory if it is inside.
fn relative(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let inside = here.and_then(|here| path.strip_prefix(here).ok());
    inside.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_reads_a_path_as_it_was() {
        for (path, expected) in [
            ("var/demo/demo.env", "var/demo/demo.env"),
            ("demo.env", "./demo.env"),
            ("with space/demo.env", "'with space/demo.env'"),
            ("it's/$HOME", r"'it'\''s/$HOME'"),
        ] {
            assert_eq!(shell_path(Path::new(path)), expected);
        }
    }
}
