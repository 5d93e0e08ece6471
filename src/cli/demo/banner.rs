//! What a demo says when it is ready.

use std::path::Path;

use super::super::screen::{Colour, Screen};
use super::{Hero, Stage, Tokens};

impl Stage {
    /// Addresses, tokens, and commands to paste. No line is longer than 80 columns, but for long paths.
    pub(super) fn banner(&self, hero: &Hero, news: &str) -> String {
        let screen = Screen::of_stdout();
        let head = |text: &str| screen.paint(Colour::Cyan, text);
        let Hero { id, name, .. } = hero;
        let (listen, admin, program) = (self.listen, self.admin_listen, program());
        let data = short(&self.settings.data_dir);
        let tokens = typed(&Tokens::path(&self.settings));
        format!(
            r#"
{news}

  {api}      http://{listen}/api/v2
  {metrics}  http://{admin}/metrics
  {files}     {data}
  {citizen}  {name} {id}

{first}

  . {tokens}

  It sets $API, $WHO and a token for each role. They live an hour or
  more, and the file always has fresh ones.

    $CITIZEN      self     {name}: sees everything
    $SERVICE      service  svc:demo: as far as the citizen shares
    $THIRD_PARTY  service  svc:third-party: if shared with third parties
    $AGENT        agent    agt:demo: eligibility and deadlines
    $ADMIN        admin    adm:demo: must say -H "X-Access-Reason: …"
    $AUDITOR      auditor  aud:demo: sees no profile

{read}

  curl -s $API/profile/$WHO -H "Authorization: Bearer $SERVICE"

{watch}

  . {tokens}
  {program} watch $WHO --server {listen}

{lose}

  curl -s -X PUT $API/profile/$WHO/consent \
    -H "Authorization: Bearer $CITIZEN" \
    -H "Content-Type: application/json" \
    -d '{{"data_sharing_level":"minimal"}}'

  Say "full" instead of "minimal" to give them back.

{life} Ctrl-C stops the server; a second start
finds the same data.
"#,
            life = match self.events_per_second {
                0 => "Nothing further happens by itself.".to_owned(),
                rate => format!("Life goes on: {rate} events a second."),
            },
            api = head("API"),
            metrics = head("metrics"),
            files = head("data"),
            citizen = head("citizen"),
            first = head("In a second terminal, in this directory, first:"),
            read = head("1. Read the profile, as a service sees it:"),
            watch = head("2. Watch it live, in a third terminal:"),
            lose = head("3. Take consent back, and see the watcher lose fields:"),
        )
    }
}

/// This program as it can be called again.
fn program() -> String {
    std::env::current_exe().map_or_else(|_| env!("CARGO_PKG_NAME").to_owned(), |path| typed(&path))
}

/// The path as a shell takes it here: a bare name would be looked for elsewhere, and blanks need quotes.
fn typed(path: &Path) -> String {
    let path = short(path);
    let path = if path.contains('/') { path } else { format!("./{path}") };
    let is_plain = path.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/._-+,:@".contains(&byte));
    if is_plain { path } else { format!("'{}'", path.replace('\'', r"'\''")) }
}

/// The path as seen from here.
fn short(path: &Path) -> String {
    let here = std::env::current_dir().ok();
    let inside = here.and_then(|here| path.strip_prefix(here).ok());
    inside.unwrap_or(path).display().to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shell_takes_a_path_as_it_is_shown() {
        for (path, shown) in [
            ("var/demo/demo.env", "var/demo/demo.env"),
            ("demo.env", "./demo.env"),
            ("with space/demo.env", "'with space/demo.env'"),
            ("it's/$HOME", r"'it'\''s/$HOME'"),
        ] {
            assert_eq!(typed(Path::new(path)), shown);
        }
    }
}
