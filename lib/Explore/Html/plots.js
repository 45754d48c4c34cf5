'use strict';
// Drawing, without knowledge of what is drawn.
const $ = (id) => document.getElementById(id);
const esc = (text) => String(text).replace(/[&<>"]/g, (c) => ({'&': '&amp;', '<': '&lt;', '>': '&gt;', '"': '&quot;'}[c]));

function formatBytes(bytes) {
  const units = ['B', 'kB', 'MB', 'GB', 'TB', 'PB'];
  let unit = 0;
  while (bytes >= 1000 && unit < units.length - 1) { bytes /= 1000; ++unit; }
  return (unit && bytes < 100 ? bytes.toPrecision(3) : Math.round(bytes)) + ' ' + units[unit];
}
function formatCount(n) {
  if (n >= 1048576 && n % 1048576 === 0) return n / 1048576 + 'M';
  if (n >= 1024 && n % 1024 === 0) return n / 1024 + 'K';
  return String(n);
}
function formatNumber(x) {
  if (x === 0) return '0';
  const size = Math.abs(x);
  if (size >= 1e15) return x.toExponential(2);
  if (size >= 1000) return Math.round(x).toLocaleString('en');
  return String(+x.toPrecision(size < 0.1 ? 2 : 3));
}
function formatMs(ms) {
  if (ms === 0) return '0';
  if (ms < 0.1) return (ms * 1000).toPrecision(3) + ' µs';
  return ms >= 1000 ? (ms / 1000).toPrecision(3) + ' s' : ms.toPrecision(3) + ' ms';
}

// Tooltips: any element with a data-tip.
document.addEventListener('mousemove', (event) => {
  const target = event.target.closest ? event.target.closest('[data-tip]') : null;
  const tip = $('tip');
  tip.hidden = !target;
  if (!target) return;
  tip.textContent = target.dataset.tip;
  tip.style.left = Math.min(event.clientX + 14, innerWidth - tip.offsetWidth - 8) + 'px';
  tip.style.top = Math.min(event.clientY + 14, innerHeight - tip.offsetHeight - 8) + 'px';
});

// A scale from values to pixels, with its ticks.
function makeScale(low, high, from, to, log) {
  if (log) {
    low = Math.max(low, 1e-12); high = Math.max(high, low * 1.0001);
    const a = Math.log10(low), b = Math.log10(high);
    const scale = (v) => from + (Math.log10(Math.max(v, low)) - a) / (b - a) * (to - from);
    scale.ticks = [];
    const step = Math.max(1, Math.ceil((b - a) / 6));
    for (let e = Math.ceil(a - 1e-9); e <= b + 1e-9; e += step) scale.ticks.push(10 ** e);
    if (scale.ticks.length < 2)
      for (const m of [1, 2, 5]) for (let e = Math.floor(a); e <= b; ++e) {
        const v = m * 10 ** e;
        if (v >= low && v <= high && !scale.ticks.includes(v)) scale.ticks.push(v);
      }
    return scale;
  }
  if (high <= low) high = low + 1;
  const scale = (v) => from + (v - low) / (high - low) * (to - from);
  const raw = (high - low) / 5, power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].map((m) => m * power).find((s) => s >= raw);
  scale.ticks = [];
  for (let v = Math.ceil(low / step) * step; v <= high + step * 1e-9; v += step) scale.ticks.push(v);
  return scale;
}

// Axes of a plot: {width, height, left, x, y, formatX, formatY, titleX, titleY, ticksX}.
function drawAxes(p) {
  let svg = '';
  for (const v of p.y.ticks)
    svg += `<line class="axis" x1="${p.left}" x2="${p.width - 12}" y1="${p.y(v)}" y2="${p.y(v)}"/>` +
           `<text x="${p.left - 6}" y="${p.y(v) + 4}" text-anchor="end">${esc(p.formatY(v))}</text>`;
  for (const v of p.ticksX || p.x.ticks)
    svg += `<line class="axis" x1="${p.x(v)}" x2="${p.x(v)}" y1="${p.height - 34}" y2="${p.height - 30}"/>` +
           `<text x="${p.x(v)}" y="${p.height - 18}" text-anchor="middle">${esc(p.formatX(v))}</text>`;
  if (p.titleX) svg += `<text x="${(p.left + p.width - 12) / 2}" y="${p.height - 2}" text-anchor="middle">${esc(p.titleX)}</text>`;
  if (p.titleY) svg += `<text x="${p.left - 46}" y="9">${esc(p.titleY)}</text>`;
  return svg;
}
const frame = (width, height, body, label) =>
  `<svg viewBox="0 0 ${width} ${height}" role="img" aria-label="${esc(label)}">${body}</svg>`;

// Lines of {name, color, points: [[x, y]], tip(x, y), dashed, bold}.
function linePlot(lines, options) {
  const width = 560, height = 300, left = 64;
  const xs = lines.flatMap((l) => l.points.map((q) => q[0])), ys = lines.flatMap((l) => l.points.map((q) => q[1])).filter((v) => v > 0);
  if (!xs.length || !ys.length) return '<p class="note">Nothing to draw.</p>';
  const x = makeScale(Math.min(...xs), Math.max(...xs), left, width - 112, true);
  const low = options.logY ? Math.min(...ys) : 0;
  const y = makeScale(low, Math.max(...ys) * (options.logY ? 1 : 1.05), height - 36, 14, options.logY);
  let svg = drawAxes({width: width - 100, height, left, x, y, formatX: formatCount, formatY: options.formatY, titleX: options.titleX,
                      ticksX: [...new Set(xs)].filter((v, i, all) => all.length <= 9 || i % 2 === 0)});
  const ends = [];
  for (const line of lines) {
    const points = line.points.filter((q) => q[1] > 0 || !options.logY);
    if (!points.length) continue;
    const path = points.map((q, i) => `${i ? 'L' : 'M'}${x(q[0]).toFixed(1)} ${y(q[1]).toFixed(1)}`).join('');
    svg += `<path d="${path}" fill="none" stroke="${line.color}" stroke-width="${line.bold ? 2.6 : 1.8}"${line.dashed ? ' stroke-dasharray="5 4"' : ''}/>`;
    for (const q of points)
      svg += `<circle cx="${x(q[0])}" cy="${y(q[1])}" r="${line.bold ? 3.2 : 2.6}" fill="${line.color}" data-tip="${esc(line.tip(q[0], q[1]))}"/>`;
    ends.push({y: y(points[points.length - 1][1]), line});
  }
  ends.sort((a, b) => a.y - b.y);
  let last = -20;
  for (const end of ends) {
    last = Math.max(end.y, last + 13);
    svg += `<text x="${width - 102}" y="${last + 4}" style="fill:${end.line.color}">${esc(end.line.name.length > 18 ? end.line.name.slice(0, 17) + '…' : end.line.name)}</text>`;
  }
  return frame(width, height, svg, options.label);
}

// Horizontal bars of groups: [{title, parts: [{name, value, color}]}].
function barPlot(groups, format) {
  const width = 560, barWidth = width - 20;
  let svg = '', top = 6;
  for (const group of groups) {
    const sum = group.parts.reduce((s, q) => s + q.value, 0) || 1;
    svg += `<text class="strong" x="0" y="${top + 8}">${esc(group.title)}</text>`;
    let x = 0;
    for (const part of group.parts) {
      const w = part.value / sum * barWidth;
      svg += `<rect x="${x}" y="${top + 16}" width="${Math.max(w - 1, 0)}" height="26" rx="3" fill="${part.color}" data-tip="${esc(`${part.name}: ${format(part.value)} (${(part.value / sum * 100).toFixed(1)} %)`)}"/>`;
      x += w;
    }
    let column = 0, line = top + 60;
    for (const part of group.parts.slice().sort((a, b) => b.value - a.value)) {
      if (part.value / sum < 0.001) continue;
      svg += `<rect x="${column * 187}" y="${line - 9}" width="10" height="10" rx="2" fill="${part.color}"/>` +
             `<text x="${column * 187 + 15}" y="${line}">${esc(part.name)} ${esc(format(part.value))}</text>`;
      if (++column === 3) { column = 0; line += 17; }
    }
    top = line + (column ? 30 : 13);
  }
  return frame(width, top, svg, 'shares of time');
}
