//! A bar chart as SVG: one group of bars for each level.

/// One bar of a group.
pub struct Bar {
    pub name: &'static str,
    pub value: f64,
}

/// Draws the groups, and a line at 1.
pub fn bars(title: &str, groups: &[(String, Vec<Bar>)]) -> String {
    const COLOURS: [&str; 4] = ["#2563eb", "#93c5fd", "#64748b", "#cbd5e1"];
    let (left, top, height, wide, gap) = (46.0, 56.0, 180.0, 26.0, 34.0);
    let highest = groups.iter().flat_map(|(_, bars)| bars).map(|bar| bar.value).fold(1.1, f64::max);
    let y = |value: f64| top + height * (1.0 - value / highest);
    let mut body = String::new();
    let mut x = left + gap / 2.0;
    for (level, bars) in groups {
        let from = x;
        for (bar, colour) in bars.iter().zip(COLOURS) {
            let (at, tall) = (y(bar.value), y(0.0) - y(bar.value));
            body += &format!(
                "<rect x='{x:.0}' y='{at:.1}' width='{wide}' height='{tall:.1}' fill='{colour}'/>\
                 <text x='{:.0}' y='{:.1}' text-anchor='middle'>{:.2}</text>\n",
                x + wide / 2.0,
                at - 5.0,
                bar.value
            );
            x += wide + 8.0;
        }
        body += &format!(
            "<text x='{:.0}' y='{:.0}' text-anchor='middle'>{level}</text>\n",
            (from + x - 8.0) / 2.0,
            y(0.0) + 20.0
        );
        x += gap;
    }
    let width = x;
    let mut legend = left;
    for (bar, colour) in groups.first().map_or(&[][..], |(_, bars)| bars).iter().zip(COLOURS) {
        body += &format!(
            "<rect x='{legend:.0}' y='34' width='10' height='10' fill='{colour}'/><text x='{:.0}' y='43'>{}</text>\n",
            legend + 15.0,
            bar.name
        );
        legend += 30.0 + 7.0 * bar.name.len() as f64;
    }
    let width = width.max(legend);
    let one = y(1.0);
    format!(
        "<svg xmlns='http://www.w3.org/2000/svg' viewBox='0 0 {width:.0} 270' font-family='sans-serif' font-size='12' \
         fill='#0f172a'>\n<rect width='100%' height='100%' fill='#ffffff'/>\n\
         <text x='{left}' y='20' font-size='14' font-weight='bold'>{title}</text>\n{body}\
         <line x1='{left}' x2='{width:.0}' y1='{one:.1}' y2='{one:.1}' stroke='#0f172a' stroke-dasharray='4 3'/>\
         <text x='{:.0}' y='{:.1}' text-anchor='end'>1.0</text>\n\
         <line x1='{left}' x2='{width:.0}' y1='{:.1}' y2='{:.1}' stroke='#0f172a'/>\n</svg>\n",
        left - 6.0,
        one + 4.0,
        y(0.0),
        y(0.0),
    )
}
