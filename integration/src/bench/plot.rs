//! The plots, each as SVG and as PNG.

use std::fs;
use std::path::Path;
use std::sync::OnceLock;

use anyhow::{Result, anyhow};
use plotters::coord::Shift;
use plotters::prelude::*;
use plotters::style::{FontStyle, register_font};

const SIZE: (u32, u32) = (900, 480);
const FONT: &str = "sans-serif";
/// The file of its letters.
const LETTERS: &str = "DejaVuSans.ttf";

/// What is drawn.
#[derive(Debug)]
pub(super) enum Plot {
    /// A bar for each name, with a mark where its goal is.
    Bars(Vec<Bar>),
    /// A line for each name.
    Lines {
        /// What stands below.
        below: String,
        /// The lines.
        lines: Vec<(String, Vec<(f64, f64)>)>,
    },
}

/// One bar.
#[derive(Debug)]
pub(super) struct Bar {
    /// Its name.
    pub name: String,
    /// Its length.
    pub value: f64,
    /// Where its goal is.
    pub goal: Option<f64>,
}

/// Draws one into two files of this folder.
pub(super) fn draw(folder: &Path, name: &str, title: &str, plot: &Plot) -> Result<()> {
    know_letters()?;
    let (svg, png) = (folder.join(format!("{name}.svg")), folder.join(format!("{name}.png")));
    draw_on(&SVGBackend::new(&svg, SIZE).into_drawing_area(), title, plot)?;
    draw_on(&BitMapBackend::new(&png, SIZE).into_drawing_area(), title, plot)
}

/// Neither backend has letters of its own.
fn know_letters() -> Result<()> {
    static KNOWN: OnceLock<()> = OnceLock::new();

    if KNOWN.get().is_none() {
        let letters = fs::read(crate::parts::path(LETTERS)?)?;
        // Needed until the end.
        let letters: &'static [u8] = Box::leak(letters.into_boxed_slice());
        register_font(FONT, FontStyle::Normal, letters).map_err(|_| anyhow!("{LETTERS} is no font"))?;
        let _ = KNOWN.set(());
    }
    Ok(())
}

fn draw_on<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, plot: &Plot) -> Result<()>
where
    B::ErrorType: 'static,
{
    area.fill(&WHITE)?;
    match plot {
        Plot::Bars(bars) => draw_bars(area, title, bars)?,
        Plot::Lines { below, lines } => draw_lines(area, title, below, lines)?,
    }
    area.present()?;
    Ok(())
}

fn draw_bars<B: DrawingBackend>(area: &DrawingArea<B, Shift>, title: &str, bars: &[Bar]) -> Result<()>
where
    B::ErrorType: 'static,
{
    let longest = bars.iter().flat_map(|bar| [Some(bar.value), bar.goal]).flatten().fold(0.0, f64::max);
    // The first one is drawn on top.
    let place = |index: usize| bars.len() - 1 - index;
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(30)
        .y_label_area_size(250)
        .build_cartesian_2d(0.0..longest * 1.08, (0..bars.len() - 1).into_segmented())?;
    let label = |at: &SegmentValue<usize>| match at {
        SegmentValue::CenterOf(at) => bars.get(place(*at)).map(|bar| bar.name.clone()).unwrap_or_default(),
        _ => String::new(),
    };
    chart
        .configure_mesh()
        .disable_y_mesh()
        .y_labels(bars.len())
        .y_label_formatter(&label)
        .label_style((FONT, 13))
        .draw()?;
    chart.draw_series(bars.iter().enumerate().map(|(index, bar)| {
        let at = place(index);
        let corners = [(0.0, SegmentValue::Exact(at)), (bar.value, SegmentValue::Exact(at + 1))];
        let mut rectangle = Rectangle::new(corners, RGBColor(70, 120, 180).filled());
        rectangle.set_margin(4, 4, 0, 0);
        rectangle
    }))?;
    chart.draw_series(bars.iter().enumerate().filter_map(|(index, bar)| {
        let (goal, at) = (bar.goal?, place(index));
        let ends = [(goal, SegmentValue::Exact(at)), (goal, SegmentValue::Exact(at + 1))];
        Some(PathElement::new(ends.to_vec(), RED.stroke_width(3)))
    }))?;
    Ok(())
}

fn draw_lines<B: DrawingBackend>(
    area: &DrawingArea<B, Shift>,
    title: &str,
    below: &str,
    lines: &[(String, Vec<(f64, f64)>)],
) -> Result<()>
where
    B::ErrorType: 'static,
{
    let points = lines.iter().flat_map(|(_, points)| points);
    let (right, top) = points.fold((0.0, 0.0), |(right, top), (x, y)| (x.max(right), y.max(top)));
    let mut chart = ChartBuilder::on(area)
        .caption(title, (FONT, 18))
        .margin(12)
        .x_label_area_size(40)
        .y_label_area_size(50)
        .build_cartesian_2d(0.0..right * 1.03, 0.0..top * 1.1)?;
    chart.configure_mesh().x_desc(below).label_style((FONT, 13)).axis_desc_style((FONT, 14)).draw()?;
    for (index, (name, points)) in lines.iter().enumerate() {
        let colour = Palette99::pick(index).to_rgba();
        let line = chart.draw_series(LineSeries::new(points.iter().copied(), colour.stroke_width(2)).point_size(4))?;
        line.label(name.clone())
            .legend(move |(x, y)| PathElement::new(vec![(x, y), (x + 18, y)], colour.stroke_width(2)));
    }
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::UpperLeft)
        .background_style(WHITE.mix(0.8))
        .border_style(BLACK)
        .label_font((FONT, 14))
        .draw()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_plot_is_two_files() {
        let folder = tempfile::tempdir().unwrap();
        let bar = |name: &str, value| Bar { name: name.to_owned(), value, goal: Some(0.65) };
        draw(folder.path(), "bars", "CPU", &Plot::Bars(vec![bar("null", 1.0), bar("session", 2.0)])).unwrap();
        let lines = vec![("session".to_owned(), vec![(10.0, 20.0), (80.0, 60.0)])];
        draw(folder.path(), "lines", "CPU", &Plot::Lines { below: "headers".to_owned(), lines }).unwrap();
        for file in ["bars.svg", "bars.png", "lines.svg", "lines.png"] {
            assert!(fs::metadata(folder.path().join(file)).unwrap().len() > 1000, "{file}");
        }
    }
}
