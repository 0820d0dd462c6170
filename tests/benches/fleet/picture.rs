//! The picture of the fleet's page: what the service meets, second by second, and how the fleet comes
//! back.

use std::error::Error;

use plotters::coord::Shift;
use plotters::prelude::*;

use super::simulation::{Fleet, Seen, Wait};
use super::table::thousands;

/// Where it is, from the package's root.
pub const PATH: &str = "tests/benches/fleet/connects.svg";

/// In pixels.
const SIZE: (u32, u32) = (880, 780);
/// How many seconds it shows.
const SHOWN: u32 = 1_200;
/// The top of the logarithmic axis.
const MOST_TRIES: f64 = 200_000.0;
/// The top of the axis in percent, with a little air for the line at 100.
const MOST_PERCENT: f64 = 103.0;

/// The seconds from one point of a curve to the next.
const STEP: usize = 5;

const TITLE: (&str, u32) = ("sans-serif", 22);
const TEXT: (&str, u32) = ("sans-serif", 17);
const GRID: RGBColor = RGBColor(225, 225, 225);
const GREY: RGBColor = RGBColor(90, 90, 90);

type Canvas<'a> = DrawingArea<SVGBackend<'a>, Shift>;
type Drawn = Result<(), Box<dyn Error>>;

/// How a wait is called in the picture, and in which colour. (These three can be told apart by those
/// who see fewer colours as well.)
fn legend(wait: Wait) -> (&'static str, RGBColor) {
    match wait {
        Wait::FullJitter => ("full jitter (this program)", RGBColor(0, 114, 178)),
        Wait::NoJitter => ("no jitter", RGBColor(213, 94, 0)),
        Wait::Constant => ("constant, 5 s", RGBColor(230, 170, 60)),
    }
}

/// Draws the picture, as the text of an SVG file. The same fleet gives the same text.
///
/// # Errors
/// As the plotting library tells them. None are expected: nothing is written here.
pub fn draw(fleet: &Fleet) -> Result<String, Box<dyn Error>> {
    let mut svg = String::new();
    {
        let canvas = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        canvas.fill(&WHITE)?;
        let (upper, lower) = canvas.split_vertically(SIZE.1 * 11 / 20);
        // What is drawn later lies above.
        let curves = [Wait::Constant, Wait::NoJitter, Wait::FullJitter]
            .map(|wait| (wait, fleet.simulate(wait)));
        draw_tries(&upper, fleet, &curves)?;
        draw_share(&lower, fleet, &curves)?;
        canvas.present()?;
    }
    Ok(svg)
}

/// Tries to connect in each second. Devices that wait alike try in the same seconds, with nothing
/// between them: these are drawn as bars.
fn draw_tries(canvas: &Canvas, fleet: &Fleet, curves: &[(Wait, Seen)]) -> Drawn {
    let devices = thousands(fleet.devices);
    let outage = fleet.outage;
    let mut chart = ChartBuilder::on(canvas)
        .caption(
            format!("{devices} devices cut off for {outage} s: tries to connect per second"),
            TITLE,
        )
        .margin(12)
        .margin_right(24)
        .x_label_area_size(28)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..minutes(SHOWN), (1.0..MOST_TRIES).log_scale())?;
    chart
        .configure_mesh()
        .x_labels(11)
        .max_light_lines(0)
        .x_label_formatter(&|minutes| format!("{minutes:.0}"))
        .y_label_formatter(&|tries| thousands(*tries as u32))
        .y_desc("tries per second (log scale)")
        .label_style(TEXT)
        .bold_line_style(GRID)
        .draw()?;
    for (wait, seen) in curves {
        let (_, colour) = legend(*wait);
        let tries = (0..SHOWN).zip(&seen.tries).filter(|(_, tries)| **tries > 0);
        let tries = tries.map(|(second, &tries)| (minutes(second), f64::from(tries)));
        match wait {
            Wait::FullJitter => {
                chart.draw_series(LineSeries::new(tries, colour.stroke_width(2)))?
            }
            Wait::NoJitter => chart.draw_series(bars(tries, colour.stroke_width(3)))?,
            Wait::Constant => chart.draw_series(bars(tries, colour.stroke_width(1)))?,
        };
    }
    let down = [(0.0, 1.0), (minutes(fleet.outage as u32), MOST_TRIES)];
    chart.draw_series([Rectangle::new(down, GREY.mix(0.25).filled())])?;
    if let Some(connects) = fleet.connects {
        let limit = f64::from(connects);
        chart.draw_series((0..SHOWN).step_by(12).map(|second| {
            let dash = [(minutes(second), limit), (minutes(second + 6), limit)];
            PathElement::new(dash, BLACK)
        }))?;
        let words = format!("taken: {}", thousands(connects));
        let place = (minutes(SHOWN) - 2.0, limit * 1.6);
        chart.draw_series([Text::new(words, place, TEXT)])?;
    }
    Ok(())
}

/// A bar for each second in which somebody tried.
fn bars(
    tries: impl Iterator<Item = (f64, f64)>,
    style: ShapeStyle,
) -> impl Iterator<Item = PathElement<(f64, f64)>> {
    tries.map(move |(minute, tries)| PathElement::new([(minute, 1.0), (minute, tries)], style))
}

/// The share of the fleet that is connected, and the legend of both charts.
fn draw_share(canvas: &Canvas, fleet: &Fleet, curves: &[(Wait, Seen)]) -> Drawn {
    let mut chart = ChartBuilder::on(canvas)
        .caption("and how many of them are connected", TITLE)
        .margin(12)
        .margin_right(24)
        .x_label_area_size(50)
        .y_label_area_size(84)
        .build_cartesian_2d(0.0..minutes(SHOWN), 0.0..MOST_PERCENT)?;
    chart
        .configure_mesh()
        .x_labels(11)
        .y_labels(5)
        .max_light_lines(0)
        .x_label_formatter(&|minutes| format!("{minutes:.0}"))
        .y_label_formatter(&|percent| format!("{percent:.0} %"))
        .x_desc("minutes since the connections were lost")
        .y_desc("devices connected")
        .label_style(TEXT)
        .bold_line_style(GRID)
        .draw()?;
    for (wait, seen) in curves.iter().rev() {
        let (name, colour) = legend(*wait);
        let mut connected = 0;
        let share = (0..SHOWN).map(|second| {
            connected += seen.connects.get(second as usize).unwrap_or(&0);
            let share = f64::from(connected) / f64::from(fleet.devices.max(1));
            (minutes(second + 1), 100.0 * share)
        });
        let steps = share.step_by(STEP);
        chart
            .draw_series(LineSeries::new(steps, colour.stroke_width(2)))?
            .label(name)
            .legend(move |(x, y)| PathElement::new([(x, y), (x + 20, y)], colour.stroke_width(4)));
    }
    let down = [(0.0, 0.0), (minutes(fleet.outage as u32), MOST_PERCENT)];
    chart.draw_series([Rectangle::new(down, GREY.mix(0.25).filled())])?;
    let style = TextStyle::from(TEXT.into_font()).transform(FontTransform::Rotate270);
    chart.draw_series([Text::new("the service is down", (0.3, 40.0), style)])?;
    chart
        .configure_series_labels()
        .position(SeriesLabelPosition::Coordinate(520, 110))
        .background_style(WHITE)
        .border_style(GRID)
        .label_font(TEXT)
        .draw()?;
    Ok(())
}

fn minutes(seconds: u32) -> f64 {
    f64::from(seconds) / 60.0
}
