//! Pictures of pages, kept for people to look at.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD as BASE64;
use serde_json::json;

use super::Browser;

/// How a page is looked at.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Look {
    /// A wide window, light colours preferred.
    Light,
    /// A wide window, dark colours preferred.
    Dark,
    /// A phone, 360 pixels wide.
    Narrow,
    /// A phone, dark colours preferred.
    NarrowDark,
}

impl Look {
    /// All of them.
    const ALL: [Self; 4] = [Self::Light, Self::Dark, Self::Narrow, Self::NarrowDark];

    fn name(self) -> &'static str {
        match self {
            Self::Light => "light",
            Self::Dark => "dark",
            Self::Narrow => "narrow",
            Self::NarrowDark => "narrow-dark",
        }
    }

    fn colours(self) -> &'static str {
        match self {
            Self::Light | Self::Narrow => "light",
            Self::Dark | Self::NarrowDark => "dark",
        }
    }

    /// Width and height in CSS pixels.
    fn size(self) -> (u32, u32) {
        match self {
            Self::Light | Self::Dark => (1280, 900),
            Self::Narrow | Self::NarrowDark => (360, 740),
        }
    }
}

/// Where the pictures are kept: `$PORTCULLIS_ARTEFACTS/screenshots`, else `artefacts/screenshots` in
/// the checkout.
fn folder() -> PathBuf {
    let checkout = Path::new(env!("CARGO_MANIFEST_DIR")).join("../artefacts");
    std::env::var_os("PORTCULLIS_ARTEFACTS").map_or(checkout, PathBuf::from).join("screenshots")
}

impl Browser {
    /// Keeps a picture of the whole page in each look, as `NAME-LOOK.png` in `artefacts/screenshots`
    /// (`$PORTCULLIS_ARTEFACTS` stands for `artefacts`), and fails where the page is wider than the
    /// window.
    pub async fn photograph(&self, name: &str) -> Result<()> {
        for look in Look::ALL {
            self.emulate(look).await?;
            let width = self.run("return document.documentElement.scrollWidth").await?;
            let window = u64::from(look.size().0);
            ensure!(width.as_u64() <= Some(window), "{name} is {width} pixels wide in a window of {window}");
            self.keep_picture(&format!("{name}-{}", look.name())).await?;
        }
        self.devtools("Emulation.clearDeviceMetricsOverride", json!({})).await?;
        self.devtools("Emulation.setEmulatedMedia", json!({ "features": [] })).await?;
        Ok(())
    }

    /// Shows the page from now on as this look has it.
    async fn emulate(&self, look: Look) -> Result<()> {
        let (width, height) = look.size();
        let media = json!({ "features": [{ "name": "prefers-color-scheme", "value": look.colours() }] });
        self.devtools("Emulation.setEmulatedMedia", media).await?;
        let metrics = json!({
            "width": width,
            "height": height,
            "deviceScaleFactor": 1,
            "mobile": matches!(look, Look::Narrow | Look::NarrowDark),
        });
        self.devtools("Emulation.setDeviceMetricsOverride", metrics).await?;
        Ok(())
    }

    async fn keep_picture(&self, name: &str) -> Result<()> {
        let shot = json!({ "format": "png", "captureBeyondViewport": true });
        let shot = self.devtools("Page.captureScreenshot", shot).await?;
        let picture = BASE64.decode(shot["data"].as_str().context("a screenshot has data")?)?;
        let folder = folder();
        std::fs::create_dir_all(&folder).with_context(|| format!("cannot create {}", folder.display()))?;
        let file = folder.join(format!("{name}.png"));
        std::fs::write(&file, picture).with_context(|| format!("cannot write {}", file.display()))
    }
}
