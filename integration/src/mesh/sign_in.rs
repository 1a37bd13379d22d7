//! A person's way through Dex's pages, which the gateway leads to as everything else.

use anyhow::{Context, Result, bail, ensure};
use url::{Url, form_urlencoded};

use super::Mesh;
use crate::dex;
use crate::portcullis::ORIGIN;
use crate::raw_client::Response;
use crate::registration::Form;
use crate::visitor::{Visitor, path_and_query};

/// More steps than Dex takes from the first page to the way back.
const MOST_STEPS: usize = 8;

impl Mesh {
    /// Opens a page without a session, and gives the address at Dex to which that redirects.
    pub async fn begin(&self, visitor: &mut Visitor, path: &str) -> Result<Url> {
        redirect(&Url::parse(ORIGIN)?, &visitor.navigate(path).await?)
    }

    /// Lets a visitor sign in at Dex, and gives the answer of the page that was wanted.
    pub async fn sign_in(&self, visitor: &mut Visitor, user: &str, path: &str) -> Result<Response> {
        let authorization = self.begin(visitor, path).await?;
        through_dex(visitor, authorization, user).await
    }
}

/// Goes through Dex's pages as `user` and back, and gives the answer of the page that was wanted.
pub(super) async fn through_dex(visitor: &mut Visitor, start: Url, user: &str) -> Result<Response> {
    let callback = walk(visitor, start, user).await?;
    let landing = visitor.come_back(&callback).await?;
    visitor.navigate(&landing).await
}

/// Goes through Dex's pages as `user`, until they lead elsewhere: that address, which is not opened.
async fn walk(visitor: &mut Visitor, start: Url, user: &str) -> Result<Url> {
    let mut here = start;
    for _ in 0..MOST_STEPS {
        if !here.path().starts_with("/dex/") {
            crate::evidence::callback(&here);
            return Ok(here);
        }
        ensure!(here.as_str().starts_with(ORIGIN), "browsers do not reach {here}");
        let page = visitor.navigate(&path_and_query(&here)).await?;
        if page.status == 200 {
            let form = Form::find(&page.text()).with_context(|| format!("{here} has no form: {}", page.text()))?;
            let to = here.join(&form.action)?;
            let fields = form.filled(&dex::email(user));
            let body = form_urlencoded::Serializer::new(String::new()).extend_pairs(fields).finish();
            here = redirect(&to, &visitor.submit(&path_and_query(&to), &body).await?)?;
        } else {
            here = redirect(&here, &page)?;
        }
    }
    bail!("Dex does not send {user} back within {MOST_STEPS} steps, but to {here}")
}

/// Where an answer to a request for `from` leads.
pub(super) fn redirect(from: &Url, answer: &Response) -> Result<Url> {
    ensure!(matches!(answer.status, 302 | 303), "{from} answers {}: {}", answer.status, answer.text());
    Ok(from.join(answer.headers.only("location").context("not one Location")?)?)
}
