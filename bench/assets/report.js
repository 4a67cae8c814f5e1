"use strict";
(() => {
  const { results, tables, figures } = JSON.parse(document.getElementById("results").textContent);
  const css = (name) => getComputedStyle(document.documentElement).getPropertyValue(name).trim();
  const color = (target) => {
    const known = { ringlog: 0, kafka: 1, "kafka-tuned": 2, "kafka-fsync": 2 }[target];
    return css(`--s${known ?? 3}`);
  };
  const targetNames = [...new Set(results.lives.map((life) => life.target))];
  const title = (target, klass) => results.lives.find((life) => life.target === target && (!life.class || life.class === klass))?.title ?? target;
  const make = (tag, attributes = {}, ...children) => {
    const node = document.createElement(tag);
    Object.entries(attributes).forEach(([name, value]) => node.setAttribute(name, value));
    node.append(...children);
    return node;
  };
  const short = (value) =>
    value == null ? "-" : value >= 1000 ? Math.round(value).toLocaleString("en") : String(Number(value.toPrecision(3)));
  const micros = (value) =>
    value == null ? "-" : value >= 1e6 ? `${short(value / 1e6)} s` : value >= 1e3 ? `${short(value / 1e3)} ms` : `${short(value)} us`;

  // The runs that count, as the tables take them: per round the first undisturbed one, else the last.
  const counted = (cell, klass, target) => {
    const same = results.runs.filter((run) => run.cell === cell && run.class === klass && run.target === target && !run.failed);
    return [...new Set(same.map((run) => run.round))].sort((a, b) => a - b).map((round) => {
      const attempts = same.filter((run) => run.round === round);
      return attempts.find((run) => !run.disturbed) ?? attempts.at(-1);
    });
  };
  const median = (values) => {
    const sorted = values.filter((value) => value != null).sort((a, b) => a - b);
    const middle = (sorted.length - 1) / 2;
    return sorted.length ? (sorted[Math.floor(middle)] + sorted[Math.ceil(middle)]) / 2 : null;
  };

  function drawRatios() {
    const place = document.getElementById("ratios");
    place.replaceChildren();
    for (const table of tables) {
      const rows = table.rows.filter((row) => row.ratio);
      if (!rows.length) continue;
      const times = (row, ratio) => (row.figure.better === "lower" ? 1 / ratio : ratio);
      const all = rows.flatMap((row) => [row.ratio.ratio, ...(row.ratio.interval ?? [])].map((ratio) => times(row, ratio)));
      const reach = Math.max(2, ...all.map((value) => Math.max(value, 1 / value))) * 1.15;
      const at = (value) => 50 + (Math.log(value) / Math.log(reach)) * 50;
      const grid = make("div", { class: "ratios" });
      let last = "";
      for (const row of rows) {
        if (row.cell !== last) grid.append(make("div", { class: "head" }, row.cell_title));
        last = row.cell;
        const value = times(row, row.ratio.ratio);
        const ends = (row.ratio.interval ?? []).map((ratio) => at(times(row, ratio))).sort((a, b) => a - b);
        const ink = value >= 1 ? css("--good") : css("--bad");
        const bar = `<rect x="${Math.min(50, at(value))}" y="5" width="${Math.abs(at(value) - 50)}" height="8" rx="1" fill="${ink}" opacity=".8"/>`;
        const whisker = ends.length ? `<line x1="${ends[0]}" x2="${ends[1]}" y1="9" y2="9" stroke="${css("--ink")}" vector-effect="non-scaling-stroke" stroke-width="1.5"/>` : "";
        const middle = `<line x1="50" x2="50" y1="0" y2="18" stroke="${css("--soft")}" vector-effect="non-scaling-stroke"/>`;
        const drawn = make("div");
        drawn.innerHTML = `<svg viewBox="0 0 100 18" preserveAspectRatio="none" role="img">${bar}${middle}${whisker}</svg>`;
        drawn.firstChild.setAttribute("aria-label", row.verdict);
        grid.append(
          make("div", { class: "name" }, row.figure.label, " ", make("span", { class: "of" }, row.figure.unit)),
          drawn,
          make("div", { class: `times ${value >= 1 ? "better" : "worse"}`, title: row.verdict }, value >= 1 ? `${short(value)}x` : `${short(1 / value)}x worse`),
        );
      }
      place.append(
        make("h2", {}, table.title),
        make("p", { class: "soft" }, `${table.columns[0]} against ${table.columns[1]}: how many times better; left of the line is worse. Logarithmic; the thin line is the 95 % interval.`),
        make("div", { class: "panel" }, grid),
      );
    }
  }

  const plots = [];
  function plot(place, caption, { series, x, y, marks = [] }) {
    if (!series.length) return;
    const figure = make("figure", { class: "panel" }, make("figcaption", {}, caption));
    const box = make("div", { class: "plot" });
    figure.append(box);
    place.append(figure);
    const data = uPlot.join(series.map((one) => [one.xs, one.ys]));
    const axis = { stroke: css("--soft"), grid: { stroke: css("--line"), width: 1 }, ticks: { stroke: css("--line"), width: 1 } };
    const made = new uPlot(
      {
        width: box.clientWidth || 320,
        height: 230,
        cursor: { y: false },
        hooks: { draw: [({ ctx, bbox, valToPos }) => {
          for (const mark of marks) {
            const left = Math.round(valToPos(mark.at, "x", true));
            ctx.save();
            ctx.strokeStyle = mark.stroke;
            ctx.setLineDash([6, 4]);
            ctx.beginPath();
            ctx.moveTo(left, bbox.top);
            ctx.lineTo(left, bbox.top + bbox.height);
            ctx.stroke();
            ctx.restore();
          }
        }] },
        scales: { x: { time: false, range: x.range }, y: y.log ? { distr: 3 } : { range: (_, low, high) => [0, (high || 1) * 1.08] } },
        axes: [
          { ...axis, values: (_, splits) => splits.map(x.text), splits: x.splits },
          { ...axis, size: 62, values: (_, splits) => splits.map((value) => (value == null ? "" : y.text(value))) },
        ],
        series: [
          { label: x.label, value: (_, value) => (value == null ? "-" : x.text(value)) },
          ...series.map((one) => ({
            label: one.label, stroke: one.stroke, width: 2, spanGaps: false, points: { show: one.xs.length < 30, size: 4 },
            value: (_, value) => y.text(value),
          })),
        ],
      },
      data,
      box,
    );
    plots.push({ made, box });
  }

  // Once all boxes are there, each has its width.
  const fit = () => plots.forEach(({ made, box }) => made.setSize({ width: box.clientWidth, height: 230 }));

  // The axis of log(1-p): every further nine takes the same room.
  const nines = (share) => -Math.log10(1 - share);
  const ninesText = (value) => {
    const share = 100 * (1 - 10 ** -value);
    return Number.isInteger(value) ? `${Number(share.toFixed(Math.max(0, value - 2)))} %` : `${Number(share.toPrecision(3))} %`;
  };

  function bars(place, caption, parts, rows) {
    if (!rows.length) return;
    const most = Math.max(...rows.map((row) => row.values.reduce((sum, value) => sum + value, 0)), 1e-12);
    const grid = make("div", { class: "bars" });
    for (const row of rows) {
      const track = make("div", { class: "track" });
      row.values.forEach((value, index) => {
        track.append(make("i", { style: `width:${(100 * value) / most}%;background:${row.color};opacity:${1 - index * 0.3}`, title: `${parts[index]}: ${short(value)}` }));
      });
      grid.append(make("span", {}, row.name), track, make("span", { class: "value" }, row.text));
    }
    place.append(make("figure", { class: "panel" }, make("figcaption", {}, caption), grid));
  }

  function drawLoad(cell, klass) {
    const place = document.getElementById("load");
    place.replaceChildren();
    plots.length = 0;
    const targets = targetNames.filter((target) => counted(cell.name, klass, target).length);
    const reasons = targetNames
      .filter((target) => !targets.includes(target))
      .map((target) => results.runs.findLast((run) => run.cell === cell.name && run.class === klass && run.target === target)?.failed)
      .filter(Boolean);
    place.append(make("h3", {}, `${cell.title} (${klass})`));
    reasons.forEach((reason) => place.append(make("p", { class: "soft" }, reason)));
    const key = make("div", { class: "key" });
    targets.forEach((target) => key.append(make("span", {}, make("i", { style: `background:${color(target)}` }), title(target, klass))));
    place.append(key);
    const charts = make("div", { class: "charts" });
    place.append(charts);
    const runsOf = (target) => counted(cell.name, klass, target);
    const line = (target, xs, ys) => ({ label: title(target, klass), stroke: color(target), xs, ys });

    const curves = results.curves.filter((curve) => curve.cell === cell.name && curve.class === klass && curve.points.length > 1);
    plot(charts, "Latency by share of requests, all rounds merged", {
      series: curves.map((curve) => line(curve.target, curve.points.map(([share]) => nines(share)), curve.points.map(([, us]) => us))),
      x: { label: "share", text: ninesText, splits: (_u, _i, low, high) => [0, 1, 2, 3, 4, 5, 6].filter((nine) => nine >= low && nine <= high) },
      y: { log: true, text: micros },
    });
    const window = results.scenario.seconds;
    const overTime = (pick) =>
      targets.map((target) => {
        const points = runsOf(target).flatMap((run) => run.over_time.filter((one) => one.at_s < window).map((one) => [run.round * window + one.at_s, pick(one)]));
        return line(target, points.map(([at]) => at), points.map(([, value]) => value));
      }).filter((one) => one.xs.length);
    const seconds = { label: "s, rounds in a row", text: (value) => `${short(value)}` };
    plot(charts, "Requests per second over time, rounds in a row", { series: overTime((one) => one.requests_per_s), x: seconds, y: { text: short } });
    const lives = results.lives.filter((life) => targets.includes(life.target) && (!life.class || life.class === klass) && life.warm_up);
    plot(charts, "Requests per second, warm-up included: it ends at the broken line, then rounds in a row", {
      series: lives.map((life) => {
        const warm = life.warmup.filter((piece) => piece.cell === cell.name && piece.requests_per_s != null).map((piece) => [piece.at_s, piece.requests_per_s]);
        const rounds = runsOf(life.target).flatMap((run) =>
          run.over_time.filter((one) => one.at_s < window).map((one) => [life.warm_up.took_s + run.round * window + one.at_s, one.requests_per_s]));
        const all = [...warm, ...rounds];
        return line(life.target, all.map(([at]) => at), all.map(([, value]) => value));
      }).filter((one) => one.xs.length),
      marks: lives.map((life) => ({ at: life.warm_up.took_s, stroke: color(life.target) })),
      x: { label: "s", text: short }, y: { text: short },
    });
    plot(charts, "Latency p99 over time, rounds in a row", { series: overTime((one) => one.p99_us), x: seconds, y: { log: true, text: micros } });
    const whole = results.scenario.seconds + results.scenario.warmup_seconds + 1;
    const samples = (pick) =>
      targets.map((target) => {
        const points = runsOf(target).flatMap((run) => run.points.filter((one) => one.at_s < whole).map((one) => [run.round * whole + one.at_s, pick(one)]));
        return line(target, points.map(([at]) => at), points.map(([, value]) => value));
      }).filter((one) => one.xs.length);
    plot(charts, "Broker CPU over time, % of one core, warm-up of each run included", { series: samples((one) => one.cpu_percent), x: seconds, y: { text: short } });

    const perByte = cell.figures.some((figure) => figure.endsWith("_s_per_gb"));
    const unit = perByte ? "s/GB" : "us/request";
    const [broker, kernel] = perByte ? ["broker_s_per_gb", "kernel_s_per_gb"] : ["broker_us_per_request", "kernel_us_per_request"];
    bars(charts, `CPU, ${unit}: user, system, kernel writers (from strong to pale)`, ["user", "system", "kernel writers"],
      targets.map((target) => {
        const value = (name) => median(runsOf(target).map((run) => run.values[name])) ?? 0;
        const [user, system, cost] = [value("broker_user_s"), value("broker_system_s"), value(broker)];
        const share = user + system > 0 ? user / (user + system) : 0;
        return { name: title(target, klass), color: color(target), values: [cost * share, cost * (1 - share), value(kernel)], text: `${short(cost)} + ${short(value(kernel))}` };
      }));
    bars(charts, "Resident memory after the run, MiB", ["RSS"],
      targets.map((target) => {
        const rss = median(runsOf(target).map((run) => run.values.rss_mib)) ?? 0;
        return { name: title(target, klass), color: color(target), values: [rss], text: short(rss) };
      }));
    for (const target of targets) {
      const run = runsOf(target).at(-1);
      const all = run.threads.reduce((sum, thread) => sum + thread.cpu_s, 0);
      bars(charts, `${title(target, klass)}: CPU by thread in the last round, s`, ["CPU"],
        run.threads.slice(0, 8).map((thread) => ({ name: thread.name, color: color(target), values: [thread.cpu_s], text: `${short(thread.cpu_s)} (${Math.round((100 * thread.cpu_s) / all)} %)` })));
    }
    fit();
    const table = make("table");
    const others = figures.filter((figure) => targets.some((target) => runsOf(target).some((run) => run.values[figure.key] != null)));
    table.append(make("thead", {}, make("tr", {}, make("th", {}, "figure, median of rounds"), ...targets.map((target) => make("th", { class: "number" }, title(target, klass))))));
    const body = make("tbody");
    others.forEach((figure) =>
      body.append(make("tr", {}, make("td", {}, `${figure.label}, ${figure.unit}`),
        ...targets.map((target) => make("td", { class: "number" }, short(median(runsOf(target).map((run) => run.values[figure.key]))))))));
    table.append(body);
    place.append(make("details", {}, make("summary", {}, "All figures of this load"), make("div", { class: "scroll" }, table)));
  }

  function drawWarmup() {
    const place = document.getElementById("warmup");
    place.replaceChildren();
    const series = results.lives.filter((life) => life.warmup.length > 2).flatMap((life) =>
      [...new Set(life.warmup.map((piece) => piece.cell))].map((cell) => {
        const pieces = life.warmup.filter((piece) => piece.cell === cell && piece.us_per_request != null);
        const last = pieces.at(-1)?.us_per_request;
        if (pieces.length < 3) return null;
        return { label: `${life.title}, ${cell}`, stroke: color(life.target), xs: pieces.map((piece) => piece.at_s), ys: pieces.map((piece) => piece.us_per_request / last) };
      }).filter(Boolean));
    plot(place, "Warm-up: CPU per request, in multiples of the last piece of the same load", {
      series, x: { label: "s", text: short }, y: { text: (value) => `${short(value)}x` },
    });
  }

  const picks = results.scenario.cell.flatMap((cell) => cell.classes
    .filter((klass) => results.runs.some((run) => run.cell === cell.name && run.class === klass && run.target !== "sink"))
    .map((klass) => ({ cell, klass })));
  let picked = picks.find(({ cell, klass }) => location.hash === `#${cell.name}-${klass}`) ?? picks[0];
  function drawPicks() {
    const tabs = document.getElementById("picks");
    tabs.replaceChildren(...picks.map((pick) => {
      const button = make("button", { type: "button", role: "tab", "aria-selected": String(pick === picked) }, `${pick.cell.name} · ${pick.klass}`);
      button.addEventListener("click", () => {
        picked = pick;
        history.replaceState(null, "", `#${pick.cell.name}-${pick.klass}`);
        drawAll();
      });
      return button;
    }));
  }
  function drawAll() {
    drawRatios();
    drawPicks();
    if (picked) drawLoad(picked.cell, picked.klass);
    drawWarmup();
  }

  const offer = (id, text, type) => {
    document.getElementById(id).href = URL.createObjectURL(new Blob([text], { type }));
  };
  offer("json", JSON.stringify(results, null, 1), "application/json");
  const columns = ["cell", "class", "target", "round", "attempt", "disturbed", "failed"];
  const quote = (value) => (value == null ? "" : `"${String(value).replaceAll('"', '""')}"`);
  offer("csv", [[...columns, ...figures.map((figure) => figure.key)].join(","), ...results.runs.map((run) =>
    [...columns.map((name) => quote(run[name])), ...figures.map((figure) => run.values[figure.key] ?? "")].join(","))].join("\n"), "text/csv");

  document.getElementById("theme").addEventListener("click", () => {
    const dark = css("--bg") === "#101216";
    document.documentElement.dataset.theme = dark ? "light" : "dark";
    drawAll();
  });
  matchMedia("(prefers-color-scheme: dark)").addEventListener("change", drawAll);
  let resizing;
  addEventListener("resize", () => {
    clearTimeout(resizing);
    resizing = setTimeout(fit, 100);
  });
  drawAll();
})();
