// The page: data and choices to drawings.
const data = JSON.parse($('data').textContent);
const figure = Object.fromEntries(data.metrics.map((m, i) => [m.name, i]));
const state = {mixA: 0, mixB: 0, context: 0, batch: 0, device: 0, x: 'kv_per_token', y: 'step_ms', sort: null, down: true};
const colorOf = (letter) => ['S', 'C', 'H', 'D', 'G'].includes(letter) ? `var(--${letter})` : 'var(--other)';
const detailed = data.mixes.map((m, i) => i).filter((i) => data.mixes[i].kinds);
const boundColors = {weights: 'var(--H)', pools: 'var(--G)', activations: 'var(--D)', f32: 'var(--other)', bf16: 'var(--C)', f8: 'var(--C)', f4: 'var(--C)', launch: 'var(--S)', waits: 'var(--accent)', lanes: 'var(--soft)', products: 'var(--C)', cache: 'var(--D)'};
const mechanismColors = {products: 'var(--H)', experts: 'var(--G)', attention: 'var(--C)', indexer: 'var(--D)', compressor: 'var(--other)', streams: 'var(--accent)', rowwise: 'var(--S)'};
const kindTexts = {S: 'sliding window only', C: 'window and chosen entries', H: 'window and all entries', D: 'chosen tokens of all', G: 'all tokens', '-': ''};

// What tells a mix apart: its label without the words that all mixes share.
const words = data.mixes.map((m) => m.label.split(' '));
const shared = new Set(data.mixes.length > 1 ? words[0].filter((w) => words.every((other) => other.includes(w))) : []);
const mixesWith = new Map();
for (const label of words) for (const word of new Set(label)) mixesWith.set(word, (mixesWith.get(word) || 0) + 1);
// What few mixes have comes first: a label may be cut off.
data.mixes.forEach((m, i) => { m.short = words[i].filter((w) => !shared.has(w)).sort((a, b) => mixesWith.get(a) - mixesWith.get(b)).join(' ') || m.label; });

// Shades tell kinds of one letter apart.
function kindColor(mix, kind) {
  const same = mix.kinds.filter((k) => k.letter === kind.letter).sort((a, b) => b.count - a.count);
  const place = same.indexOf(kind);
  return place <= 0 ? colorOf(kind.letter) : `color-mix(in srgb, ${colorOf(kind.letter)} ${100 - 28 * Math.min(place, 3)}%, var(--card))`;
}
const stepIndex = (context, batch) => data.steps.findIndex((s) => s.context === context && s.batch === batch);
const current = () => stepIndex(state.context, state.batch);
const rowOf = (mix, step = current()) => data.rows.find((r) => r.mix === mix && r.step === step && r.device === state.device);
const value = (row, name) => row.figures[figure[name]];
const timeOf = (kind, step) => { const d = kind.steps[step].devices[state.device]; return (d.kernels + d.launch) * 1e3; };

function formatFigure(name, v) {
  if (name.endsWith('_ms')) return formatMs(v);
  if (name.includes('bytes') || name === 'kv_per_token') return formatBytes(v);
  if (name.startsWith('flops')) return v >= 1e12 ? (v / 1e12).toPrecision(3) + ' TFLOP' : (v / 1e9).toPrecision(3) + ' GFLOP';
  return formatNumber(v);
}

function drawCards() {
  const a = rowOf(state.mixA), b = rowOf(state.mixB);
  if (!a) { $('cards').innerHTML = ''; return; }
  const cards = [['step_ms', data.tokens === 1 ? 'to decode a token' : 'a step'], ['tokens_per_s', 'tokens a second'], ['cache_bytes', 'cache of a sequence'],
                 ['kv_per_token', 'growth per token'], ['flops_per_token', 'products per token'], ['memory_bytes', 'memory in all'], ['attended_keys', 'keys read per token']];
  $('cards').innerHTML = cards.map(([name, text]) => {
    const v = value(a, name);
    let change = '';
    if (b && state.mixA !== state.mixB && value(b, name)) {
      const ratio = v / value(b, name) - 1, better = (name === 'tokens_per_s' || name === 'attended_keys') ? ratio > 0 : ratio < 0;
      if (Math.abs(ratio) > 5e-4) change = `<i class="${better ? 'less' : 'more'}">${ratio > 0 ? '+' : '−'}${Math.abs(ratio * 100).toFixed(1)} %</i>`;
    }
    return `<div class="card"><b>${esc(formatFigure(name, v))}</b><span>${esc(text)}</span> ${change}</div>`;
  }).join('') + `<div class="card"><b>${esc(a.bound)}</b><span>bounds most of the time</span></div>`;
}

function drawStrip() {
  $('strip').innerHTML = detailed.map((i) => {
    const mix = data.mixes[i], n = mix.strip.length, width = 1000, cell = width / n;
    const cells = mix.strip.map((k, layer) => {
      const kind = mix.kinds[k];
      return `<rect x="${(layer * cell).toFixed(2)}" width="${Math.max(cell - 1.5, .8).toFixed(2)}" height="22" rx="2" fill="${kindColor(mix, kind)}" data-tip="${esc(`layer ${layer}: ${kind.title}\n${kindTexts[kind.letter]}`)}"/>`;
    }).join('');
    return `<div class="stripRow${i === state.mixA ? ' chosen' : ''}"><div class="name" data-mix="${i}" title="${esc(mix.label)}">${esc(mix.short)}</div>` +
           `<svg viewBox="0 0 ${width} 22" preserveAspectRatio="none" style="height:22px" role="img" aria-label="layers of ${esc(mix.label)}">${cells}</svg></div>`;
  }).join('');
  const letters = new Map();
  for (const i of detailed) for (const kind of data.mixes[i].kinds) letters.set(kind.letter, kindTexts[kind.letter]);
  $('legend').innerHTML = [...letters].map(([letter, text]) => `<span><i style="background:${colorOf(letter)}"></i>${letter}: ${esc(text)}</span>`).join('');
  for (const name of document.querySelectorAll('#strip .name')) name.onclick = () => choose({mixA: +name.dataset.mix});
}

function drawCurves() {
  const mix = data.mixes[state.mixA];
  const steps = data.steps.map((s, i) => ({...s, i})).filter((s) => s.batch === state.batch);
  const line = (kind, of, format) => ({name: kind.title, color: kindColor(mix, kind), points: steps.map((s) => [s.context, kind.count * of(kind, s.i)]),
                                       tip: (x, y) => `${kind.count} × ${kind.title}\ncontext ${formatCount(x)}: ${format(y)}`});
  const total = (of, format) => ({name: 'all', color: 'var(--ink)', bold: true, points: steps.map((s) => [s.context, of(s.i)]), tip: (x, y) => `${mix.label}\ncontext ${formatCount(x)}: ${format(y)}`});
  const other = (of, format) => state.mixB === state.mixA ? [] : [{name: 'compared', color: 'var(--soft)', dashed: true, points: steps.map((s) => [s.context, of(s.i)]), tip: (x, y) => `${data.mixes[state.mixB].label}\ncontext ${formatCount(x)}: ${format(y)}`}];
  const read = (m, name) => (i) => { const row = rowOf(m, i); return row ? value(row, name) : 0; };
  $('cacheCurve').innerHTML = linePlot([...mix.kinds.map((k) => line(k, (kind, i) => kind.steps[i].cache, formatBytes)), ...other(read(state.mixB, 'cache_bytes'), formatBytes), total(read(state.mixA, 'cache_bytes'), formatBytes)],
    {logY: true, formatY: formatBytes, titleX: 'context, tokens', label: 'cache against context'});
  $('timeCurve').innerHTML = linePlot([...mix.kinds.map((k) => line(k, timeOf, formatMs)), ...other(read(state.mixB, 'step_ms'), formatMs), total(read(state.mixA, 'step_ms'), formatMs)],
    {logY: false, formatY: (v) => formatNumber(v) + ' ms', titleX: 'context, tokens', label: 'time against context'});
}

function allOps(mix, step) {
  const result = [];
  for (const kind of [...mix.kinds, ...mix.ends])
    for (const op of kind.ops) {
      const place = step * data.devices.length + state.device, times = op.times[place];
      const [memory, compute, launch] = times.slice(0, 3).map((t) => t * 1e-12), bound = times[3];
      const work = Math.max(memory, compute, times[4] * 1e-12);
      result.push({kind, op, flops: op.flops[step], bytes: op.bytes[step], work, bound: data.bounds[bound], total: kind.count * (work + launch), launches: op.launches && op.launches[place]});
    }
  return result;
}

function drawRoofline() {
  const mix = data.mixes[state.mixA], device = data.devices[state.device], step = current();
  const all = allOps(mix, step), least = all.reduce((s, o) => s + o.total, 0) / 2000;
  const ops = all.filter((o) => o.flops > 0 && o.bytes > 0 && o.op.anchor && o.total > least);
  if (!ops.length) { $('roofline').innerHTML = '<p class="note">No op reads memory.</p>'; return; }
  const width = 560, height = 320, left = 64;
  const xs = ops.map((o) => o.flops / o.bytes), top = Math.max(...Object.values(device.rates));
  const x = makeScale(Math.min(...xs, 0.3) / 1.5, Math.max(...xs, 1200) * 1.5, left, width - 20, true);
  const speed = (o) => o.flops / o.work;
  const y = makeScale(Math.min(...ops.map(speed)) / 2, top * 1.6, height - 36, 14, true);
  let svg = drawAxes({width, height, left, x, y, formatX: formatNumber, formatY: (v) => formatNumber(v / 1e12) + ' T', titleX: 'operations per byte of memory', titleY: 'FLOP/s'});
  const seen = new Set();
  for (const [name, rate] of Object.entries(device.rates).sort((a, b) => b[1] - a[1])) {
    const knee = rate / device.bandwidth;
    if (seen.has(rate)) continue;
    seen.add(rate);
    svg += `<line x1="${x(knee)}" y1="${y(rate)}" x2="${width - 12}" y2="${y(rate)}" stroke="var(--soft)" stroke-width="1.2"/>` +
           `<text x="${width - 14}" y="${y(rate) - 4}" text-anchor="end">${esc(Object.keys(device.rates).filter((k) => device.rates[k] === rate).join(', '))} ${formatNumber(rate / 1e12)} TFLOP/s</text>`;
  }
  const low = x.ticks[0] / 10, knee = top / device.bandwidth;
  const start = Math.max(y.ticks[0] / 10 / device.bandwidth, low);
  svg += `<line x1="${x(start)}" y1="${y(start * device.bandwidth)}" x2="${x(knee)}" y2="${y(top)}" stroke="var(--ink)" stroke-width="1.6"/>` +
         `<text class="strong" x="${x(knee / 9) - 8}" y="${y(top / 9) - 8}" text-anchor="end">memory ${(device.bandwidth / 1e12).toPrecision(3)} TB/s</text>`;
  const sum = ops.reduce((s, o) => s + o.total, 0);
  for (const o of ops.sort((a, b) => b.total - a.total))
    svg += `<circle cx="${x(o.flops / o.bytes).toFixed(1)}" cy="${y(speed(o)).toFixed(1)}" r="${(3 + 26 * Math.sqrt(o.total / sum)).toFixed(1)}" fill="${mix.kinds.includes(o.kind) ? kindColor(mix, o.kind) : 'var(--other)'}" fill-opacity=".55" stroke="var(--card)" ` +
           `data-tip="${esc(`${o.op.name} (${o.op.kind}), ${o.kind.count} × ${o.kind.title}\n${formatMs(o.total * 1e3)} in all, bound by ${o.bound}\n${formatFigure('flops', o.flops)}, ${formatBytes(o.bytes)}`)}"/>`;
  $('roofline').innerHTML = frame(width, height, svg, 'roofline');
}

function drawShares() {
  const ops = allOps(data.mixes[state.mixA], current());
  const sum = (key) => { const m = new Map(); for (const o of ops) m.set(key(o), (m.get(key(o)) || 0) + o.total * 1e3); return [...m]; };
  $('shares').innerHTML = barPlot([
    {title: 'by mechanism', parts: sum((o) => o.op.mechanism).map(([name, value]) => ({name, value, color: mechanismColors[name]}))},
    {title: 'by what bounds the op', parts: sum((o) => o.bound).map(([name, value]) => ({name, value, color: boundColors[name]}))}], formatMs);
}

// A mask over `size` tokens: an excerpt from the start of a sequence.
function maskSvg(mix, kind) {
  const size = 512, scale = 256 / size, cells = 64, cell = size / cells, px = cell * scale;
  let random = 12345;
  const next = () => (random = (random * 1103515245 + 12345) & 0x7fffffff) / 0x7fffffff;
  const color = kindColor(mix, kind);
  let svg = `<path d="M0 0L0 256L256 256Z" fill="var(--paper)"/>`;
  const entry = Math.max(kind.ratio, cell);
  for (let row = 0; row < cells; ++row) {
    const q = (row + 1) * cell - 1, top = row * px;
    if (kind.ratio)
      for (let first = 0; first + entry <= q + 1; first += entry) {
        if (kind.topk && next() > 0.22) continue;
        const w = entry * scale;
        svg += `<rect x="${first * scale}" y="${top}" width="${Math.max(w - (kind.ratio >= cell ? 1 : .3), .5)}" height="${px + .1}" fill="${color}" fill-opacity="${kind.ratio > 1 ? .5 : .8}"/>`;
      }
    if (kind.window) {
      const from = Math.max(0, q - kind.window + 1);
      svg += `<rect x="${from * scale}" y="${top}" width="${(q + 1 - from) * scale}" height="${px + .1}" fill="var(--ink)" fill-opacity=".8"/>`;
    }
  }
  return `<svg viewBox="0 0 256 256" role="img" aria-label="mask of ${esc(kind.title)}">${svg}<rect width="256" height="256" fill="none" class="axis"/></svg>`;
}

function drawMasks() {
  const mix = data.mixes[state.mixA], context = state.context;
  $('masks').innerHTML = mix.kinds.map((kind) => {
    const entries = kind.ratio ? Math.floor(context / kind.ratio) : 0;
    const parts = [];
    if (kind.window) parts.push(`the last ${formatNumber(kind.window)} tokens raw`);
    if (kind.ratio) parts.push(kind.topk ? `the best ${formatNumber(Math.min(kind.topk, entries))} of ${formatNumber(entries)} entries of ${kind.ratio}` : `all ${formatNumber(entries)} entries of ${kind.ratio}`);
    return `<figure>${maskSvg(mix, kind)}<figcaption>${esc(kind.title)} · ${kind.count} layers<span>at ${formatCount(context)}: ${esc(parts.join(' and '))}; drawn: the first 512 tokens</span></figcaption></figure>`;
  }).join('');
}

function drawPareto() {
  const rows = data.rows.filter((r) => r.step === current() && r.device === state.device);
  const X = (r) => value(r, state.x), Y = (r) => value(r, state.y);
  const width = 1160, height = 380, left = 84;
  const range = (f) => { const v = rows.map(f); const a = Math.min(...v), b = Math.max(...v), pad = (b - a) * .06 || Math.abs(b) * .1 || 1; return [Math.max(0, a - pad), b + pad]; };
  const [x0, x1] = range(X), [y0, y1] = range(Y);
  const x = makeScale(x0, x1, left, width - 20, false), y = makeScale(y0, y1, height - 36, 14, false);
  let svg = drawAxes({width, height, left, x, y, formatX: (v) => formatFigure(state.x, v), formatY: (v) => formatFigure(state.y, v), titleX: state.x});
  const sorted = rows.slice().sort((a, b) => X(a) - X(b) || Y(a) - Y(b)), front = [];
  for (const row of sorted) if (!front.length || Y(row) < Y(front[front.length - 1])) front.push(row);
  svg += `<path d="${front.map((r, i) => `${i ? `H${x(X(r)).toFixed(1)}V` : `M${x(X(r)).toFixed(1)} `}${y(Y(r)).toFixed(1)}`).join('')}" fill="none" stroke="var(--accent)" stroke-width="1.6"/>`;
  const taken = []; // places of labels
  for (const row of sorted) {
    const chosen = row.mix === state.mixA, mix = data.mixes[row.mix];
    svg += `<circle cx="${x(X(row)).toFixed(1)}" cy="${y(Y(row)).toFixed(1)}" r="${chosen ? 8 : front.includes(row) ? 5.5 : 4}" fill="${front.includes(row) ? 'var(--accent)' : 'var(--H)'}" fill-opacity="${front.includes(row) ? .95 : .55}" ` +
           `${chosen ? 'stroke="var(--ink)" stroke-width="2" ' : ''}data-pick="${row.mix}" style="cursor:pointer" data-tip="${esc(`${mix.label}\n${state.x}: ${formatFigure(state.x, X(row))}\n${state.y}: ${formatFigure(state.y, Y(row))}`)}"/>`;
    if (rows.length > 14) continue;
    const right = x(X(row)) > width * .75;
    let top = y(Y(row)) - 8;
    while (taken.some(([cx, cy]) => Math.abs(cx - x(X(row))) < 240 && Math.abs(cy - top) < 13)) top += 13;
    taken.push([x(X(row)), top]);
    svg += `<text x="${x(X(row)) + (right ? -10 : 10)}" y="${top}" ${right ? 'text-anchor="end"' : ''}>${esc(mix.short)}</text>`;
  }
  $('pareto').innerHTML = frame(width, height, svg, 'trade-offs');
  for (const point of document.querySelectorAll('[data-pick]'))
    point.onclick = () => { if (data.mixes[+point.dataset.pick].kinds) choose({mixA: +point.dataset.pick}); };
}

// Measured against predicted time of all rows of the device; the line is equality.
function drawAgreement() {
  const rows = data.rows.filter((r) => r.device === state.device && value(r, 'predicted_ms'));
  $('agreementSection').hidden = !rows.length;
  if (!rows.length) return;
  $('agreementNote').textContent = `${rows.length} rows, measured on ${data.measuredOn}; both axes logarithmic, the line is equality.`;
  const width = 1160, height = 420, left = 84, both = rows.flatMap((r) => [value(r, 'predicted_ms'), value(r, 'step_ms')]);
  const low = Math.min(...both) / 1.3, high = Math.max(...both) * 1.3;
  const x = makeScale(low, high, left, width - 20, true), y = makeScale(low, high, height - 36, 14, true);
  let svg = drawAxes({width, height, left, x, y, formatX: formatMs, formatY: formatMs, titleX: 'predicted', titleY: 'measured'});
  svg += `<line x1="${x(low)}" y1="${y(low)}" x2="${x(high)}" y2="${y(high)}" stroke="var(--soft)" stroke-width="1.2"/>`;
  for (const r of rows)
    svg += `<circle cx="${x(value(r, 'predicted_ms')).toFixed(1)}" cy="${y(value(r, 'step_ms')).toFixed(1)}" r="${r.mix === state.mixA ? 7 : 4.5}" fill="${r.mix === state.mixA ? 'var(--accent)' : 'var(--H)'}" fill-opacity=".65" ` +
           `data-tip="${esc(`${data.mixes[r.mix].label}\ncontext ${formatCount(data.steps[r.step].context)}, batch ${data.steps[r.step].batch}\npredicted ${formatMs(value(r, 'predicted_ms'))}, measured ${formatMs(value(r, 'step_ms'))}`)}"/>`;
  $('agreement').innerHTML = frame(width, height, svg, 'predicted and measured time');
}

function drawDiff() {
  const a = rowOf(state.mixA), b = rowOf(state.mixB), A = data.mixes[state.mixA], B = data.mixes[state.mixB];
  $('diffNote').textContent = state.mixA === state.mixB ? 'Choose another mix to compare with, at the top of the page.' : `${A.label}, compared with ${B.label}.`;
  if (!a || !b || state.mixA === state.mixB) { $('diff').innerHTML = ''; return; }
  const line = (name, x, y, format) => {
    const ratio = y ? x / y : 0, change = !y ? '' : Math.abs(ratio - 1) < 5e-4 ? '=' : (ratio > 1 ? '+' : '−') + Math.abs((ratio - 1) * 100).toFixed(1) + ' %';
    return `<tr><td>${esc(name)}</td><td>${esc(format(x))}</td><td>${esc(format(y))}</td><td>${change}</td></tr>`;
  };
  const kindsOf = (mix) => new Map(mix.kinds.map((k) => [k.title, k]));
  const ka = kindsOf(A), kb = kindsOf(B), step = current();
  let html = `<table><tr><th>figure</th><th>mix</th><th>compared with</th><th>change</th></tr>`;
  for (const m of data.metrics) if (value(a, m.name) || value(b, m.name)) html += line(m.name, value(a, m.name), value(b, m.name), (v) => formatFigure(m.name, v));
  for (const title of new Set([...ka.keys(), ...kb.keys()])) {
    const x = ka.get(title), y = kb.get(title);
    html += line(`layers ${title}`, x ? x.count : 0, y ? y.count : 0, formatNumber) + line(`… their time`, x ? x.count * timeOf(x, step) : 0, y ? y.count * timeOf(y, step) : 0, formatMs);
  }
  $('diff').innerHTML = html + '</table>';
}

// Of kernels also their longest launch: blocks, waves of them, warps of those that fit, registers.
function drawOps() {
  const ops = allOps(data.mixes[state.mixA], current()).sort((a, b) => b.total - a.total).slice(0, 14), total = value(rowOf(state.mixA), 'step_ms');
  const formed = ops.some((o) => o.launches), compiled = ops.some((o) => o.launches && o.launches[5]);
  const headings = ['op', 'layers', 'all of them', 'share', 'one', 'bound by', 'operations', 'memory', ...(formed ? ['launches', 'blocks', 'waves', 'occupancy'] : []), ...(compiled ? ['registers', 'spilled'] : [])];
  const programs = (o) => {
    const [kernel, launches, blocks, waves, occupancy, registers, spills] = o.launches || ['', 0, 0, 0, 0, 0, 0];
    return (formed ? [launches, formatNumber(blocks), formatNumber(waves), `${(occupancy * 100).toFixed(0)} %`] : []).concat(compiled ? [registers, formatBytes(spills)] : []);
  };
  const row = (o) => [`${esc(o.op.name)} <span class="note">${esc(o.launches ? o.launches[0] : o.op.kind)}</span>`, `${o.kind.count} × ${esc(o.kind.title)}`, formatMs(o.total * 1e3), `${(o.total * 1e5 / total).toFixed(1)} %`,
                      formatMs(o.total * 1e3 / o.kind.count), esc(o.bound), formatFigure('flops', o.flops), formatBytes(o.bytes), ...programs(o)];
  $('ops').innerHTML = `<div class="scroll"><table><tr>${headings.map((h) => `<th>${h}</th>`).join('')}</tr>` +
    ops.map((o) => `<tr>${row(o).map((cell) => `<td>${cell}</td>`).join('')}</tr>`).join('') + '</table></div>';
}

function drawRows() {
  const columns = ['step_ms', 'launch_ms', 'tokens_per_s', 'kv_per_token', 'cache_bytes', 'flops_per_token', 'memory_bytes', 'devices', 'attended_keys'];
  let rows = data.rows.slice(0, 2000);
  const key = {mix: (r) => data.mixes[r.mix].label, context: (r) => data.steps[r.step].context, batch: (r) => data.steps[r.step].batch, device: (r) => data.devices[r.device].name};
  if (state.sort) {
    const of = key[state.sort] || ((r) => value(r, state.sort));
    rows.sort((a, b) => (of(a) < of(b) ? -1 : of(a) > of(b) ? 1 : 0) * (state.down ? 1 : -1));
  }
  $('rows').innerHTML = `<table><tr>${['mix', 'context', 'batch', 'device', ...columns].map((c) => `<th data-sort="${c}">${c}${state.sort === c ? (state.down ? ' ↑' : ' ↓') : ''}</th>`).join('')}</tr>` +
    rows.map((r) => `<tr class="${r.mix === state.mixA && r.step === current() && r.device === state.device ? 'chosen' : ''}"><td title="${esc(r.replay)}">${esc(data.mixes[r.mix].short)}</td><td>${formatCount(data.steps[r.step].context)}</td><td>${data.steps[r.step].batch}</td><td>${esc(data.devices[r.device].name)}</td>` +
      columns.map((c) => `<td>${esc(formatFigure(c, value(r, c)))}</td>`).join('') + '</tr>').join('') + '</table>';
  for (const th of document.querySelectorAll('#rows th'))
    th.onclick = () => choose({sort: th.dataset.sort, down: state.sort === th.dataset.sort ? !state.down : true});
}

function draw() {
  drawCards(); drawStrip(); drawCurves(); drawRoofline(); drawShares(); drawMasks(); drawPareto(); drawAgreement(); drawDiff(); drawOps(); drawRows();
}
function choose(change) {
  Object.assign(state, change);
  for (const id of ['mixA', 'mixB', 'context', 'batch', 'device']) $(id).value = state[id];
  draw();
}
function fill(id, options, chosen) {
  $(id).innerHTML = options.map(([v, text]) => `<option value="${esc(v)}">${esc(text)}</option>`).join('');
  state[id] = chosen; $(id).value = chosen;
  $(id).onchange = () => choose({[id]: +$(id).value});
}
const unique = (values) => [...new Set(values)].sort((a, b) => a - b);
const contexts = unique(data.steps.map((s) => s.context)), batches = unique(data.steps.map((s) => s.batch));
fill('mixA', detailed.map((i) => [i, data.mixes[i].short]), detailed[0]);
fill('mixB', detailed.map((i) => [i, data.mixes[i].short]), detailed[Math.min(1, detailed.length - 1)]);
fill('context', contexts.map((c) => [c, formatCount(c)]), contexts[contexts.length - 1]);
fill('batch', batches.map((b) => [b, b]), batches[0]);
fill('device', data.devices.map((d, i) => [i, d.name]), 0);
for (const [id, key] of [['axisX', 'x'], ['axisY', 'y']]) {
  $(id).innerHTML = data.metrics.map((m) => `<option title="${esc(m.text)}">${m.name}</option>`).join('');
  if (data.objectives.length > 1) state[key] = data.objectives[key === 'x' ? 1 : 0];
  $(id).value = state[key];
  $(id).onchange = () => choose({[key]: $(id).value});
}
$('subtitle').textContent = `${[...shared].join(' ')}${shared.size ? ' · ' : ''}${data.mixes.length} mixes, ${data.rows.length} rows · level ${data.level}, ${data.tokens === 1 ? 'decode' : data.tokens + ' tokens of each sequence a step'}`;
const levels = {
  e0: 'Level e0 is closed form: a floor of memory and arithmetic per op, plus a launch for every op that needs values of other blocks.',
  e1: 'Level e1 asks the compiler which ops run together and walks their tile programs: blocks in waves, what each waits for, loads and multiplies.',
  e2: 'Level e2 is level e1 with the registers and the shared memory of compiled kernels.',
  e3: 'Level e3 was measured; kernels are as level e1 knows them.'};
$('footer').textContent = `Varve ${data.build}. ${levels[data.level]}`;
if (data.refused.length) {
  $('refusedSection').hidden = false;
  $('refused').innerHTML = data.refused.map((r) => `<div><code>${esc(r.label)}</code><br>${esc(r.op ? r.op + ': ' : '')}${esc(r.rule)}<br><b>remedy</b> ${esc(r.remedy)}</div>`).join('');
}
draw();
document.body.dataset.ready = 'yes';
