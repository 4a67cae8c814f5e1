#!/usr/bin/env python3
"""The report of a result of ringlog-bench in headless Chromium, made again from the result's data. It is opened in light and in
dark, wide and as on a phone; every load is picked, the details are opened and the theme is changed. Nothing may be said on the
console or thrown, each chart has ink of a series, and nothing is wider than the window. Screenshots: target/report.
Installs Debian's `chromium`.
Usage: report_in_browser.py RINGLOG_BENCH RESULT DIRECTORY
"""
import base64, json, os, shutil, subprocess, sys, tempfile, time, urllib.request
import websocket

bench, result = sys.argv[1:3]
work = tempfile.mkdtemp(dir=sys.argv[3])
shots = os.path.join(os.path.dirname(os.path.abspath(__file__)), "../../target/report")
WIDTHS = {"wide": (1280, 900, False), "phone": (390, 844, True)}
BACKGROUNDS = {"light": "rgb(251, 251, 250)", "dark": "rgb(16, 18, 22)"}

# Resolves to what is wrong on the page as it is shown, and what there is to see.
LOOK = """(async () => {
  document.querySelectorAll("details").forEach((one) => { one.open = true; });
  await new Promise((done) => setTimeout(done, 250));
  const wrong = [], style = getComputedStyle(document.documentElement), page = document.scrollingElement;
  const inks = ["--s0", "--s1", "--s2", "--s3"].map((name) => style.getPropertyValue(name).trim())
    .map((text) => [1, 3, 5].map((at) => parseInt(text.slice(at, at + 2), 16)));
  const canvases = [...document.querySelectorAll("canvas")], pictures = [...document.querySelectorAll("svg")];
  canvases.forEach((canvas) => {
    const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
    let inked = 0;
    for (let at = 0; at < data.length; at += 4) {
      if (data[at + 3] > 200 && inks.some((ink) => ink.every((part, index) => Math.abs(part - data[at + index]) < 12))) inked++;
    }
    if (inked < 8) wrong.push(`a blank chart: ${canvas.closest("figure").querySelector("figcaption").textContent}`);
    const overlap = canvas.getBoundingClientRect().right - canvas.closest(".panel").getBoundingClientRect().right;
    if (overlap > 0) wrong.push(`a chart ${overlap} px wider than its panel`);
  });
  pictures.forEach((picture) => {
    const bar = picture.querySelector("rect").getBoundingClientRect(), box = picture.getBoundingClientRect();
    if (!(bar.height > 0 && box.width > 20)) wrong.push(`a blank picture: ${picture.getAttribute("aria-label")}`);
  });
  if (page.scrollWidth > WIDTH) wrong.push(`the page is ${page.scrollWidth} px wide in a window of WIDTH`);
  const inBox = (node) => node.closest(".scroll, pre, nav div");
  document.querySelectorAll("main *").forEach((node) => {
    const { right } = node.getBoundingClientRect();
    if (right > WIDTH + 0.5 && !inBox(node)) wrong.push(`${node.tagName} .${node.className} ends at ${right} px`);
  });
  const captions = [...document.querySelectorAll("figcaption")].map((one) => one.textContent);
  return { wrong, captions, canvases: canvases.length, pictures: pictures.length, background: getComputedStyle(document.body).backgroundColor };
})()"""


def install():
    if shutil.which("chromium"):
        return
    subprocess.run(["apt-get", "-qq", "update"], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
    done = subprocess.run(["apt-get", "-qq", "install", "-y", "--no-install-recommends", "chromium", "fonts-dejavu-core"],
                          env={**os.environ, "DEBIAN_FRONTEND": "noninteractive"}, text=True, capture_output=True)
    if done.returncode != 0:
        print("Debian's chromium cannot be installed:", (done.stderr.strip().splitlines() or ["no reason given"])[-1])
        sys.exit(77)


class Page:
    """The only tab of a browser of its own, over the DevTools protocol; `said` is what its console and its errors say."""

    def __init__(self):
        self.browser = subprocess.Popen(
            ["chromium", "--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--hide-scrollbars",
             "--remote-debugging-port=0", f"--user-data-dir={work}/browser", "about:blank"],
            stdout=subprocess.DEVNULL, stderr=open(f"{work}/chromium.log", "w"))
        told, deadline = f"{work}/browser/DevToolsActivePort", time.time() + 120
        while not os.path.exists(told) or len(open(told).read().split()) < 2:
            assert self.browser.poll() is None and time.time() < deadline, open(f"{work}/chromium.log").read()[-2000:]
            time.sleep(0.1)
        port = open(told).read().split()[0]
        tabs = json.load(urllib.request.urlopen(f"http://127.0.0.1:{port}/json/list", timeout=60))
        address = next(tab["webSocketDebuggerUrl"] for tab in tabs if tab["type"] == "page")
        self.socket = websocket.create_connection(address, suppress_origin=True, timeout=120)
        self.said, self.number = [], 0
        for domain in ["Page", "Runtime", "Log"]:
            self.ask(f"{domain}.enable")

    def hear(self):
        message = json.loads(self.socket.recv())
        parameters = message.get("params", {})
        match message.get("method"):
            case "Runtime.exceptionThrown":
                details = parameters["exceptionDetails"]
                self.said.append(details.get("exception", {}).get("description") or details["text"])
            case "Runtime.consoleAPICalled":
                self.said.append(f"console.{parameters['type']}: {[one.get('value') for one in parameters['args']]}")
            case "Log.entryAdded":
                self.said.append(f"{parameters['entry']['level']}: {parameters['entry']['text']}")
        return message

    def ask(self, method, **parameters):
        self.number += 1
        self.socket.send(json.dumps({"id": self.number, "method": method, "params": parameters}))
        while (answer := self.hear()).get("id") != self.number:
            pass
        assert "error" not in answer, f"{method}: {answer['error']}"
        return answer["result"]

    def run(self, script):
        done = self.ask("Runtime.evaluate", expression=script, awaitPromise=True, returnByValue=True)
        assert "exceptionDetails" not in done, done["exceptionDetails"]
        return done["result"].get("value")

    def open(self, path, scheme, width, height, mobile):
        self.ask("Emulation.setEmulatedMedia", features=[{"name": "prefers-color-scheme", "value": scheme}])
        self.ask("Emulation.setDeviceMetricsOverride", width=width, height=height, deviceScaleFactor=2 if mobile else 1, mobile=mobile)
        for address in ["about:blank", f"file://{path}"]:
            self.ask("Page.navigate", url=address)
            while not self.run(f"location.href === {json.dumps(address)} && document.readyState === 'complete'"):
                time.sleep(0.05)

    def shoot(self, name):
        picture = self.ask("Page.captureScreenshot", format="png", captureBeyondViewport=True)
        with open(os.path.join(shots, f"{name}.png"), "wb") as file:
            file.write(base64.b64decode(picture["data"]))


def look(page, where, scheme, width, problems):
    seen = page.run(LOOK.replace("WIDTH", str(width)))
    seen["wrong"] += page.said
    page.said.clear()
    if seen["background"] != BACKGROUNDS[scheme]:
        seen["wrong"].append(f"the background is {seen['background']} in {scheme}")
    problems += [f"{where}: {one}" for one in seen["wrong"]]
    return seen


def check(page, report, problems):
    """Opens a report in each way; returns the captions of its charts."""
    captions = set()
    for scheme in BACKGROUNDS:
        for size, (width, height, mobile) in WIDTHS.items():
            where = f"{scheme}-{size}"
            page.open(report, scheme, width, height, mobile)
            loads = page.run("document.querySelectorAll('#picks button').length")
            for load in range(loads):
                page.run(f"document.querySelectorAll('#picks button')[{load}].click()")
                seen = look(page, f"{where}, load {load + 1}", scheme, width, problems)
                captions |= set(seen["captions"])
                if load == 0:
                    print(f"{where}: {loads} loads; the first: {seen['canvases']} charts, {seen['pictures']} pictures", flush=True)
                    page.shoot(where)
            if loads == 0 or seen["canvases"] == 0:
                problems.append(f"{where}: {loads} loads, no chart")
            page.run("document.getElementById('theme').click()")
            look(page, f"{where}, theme changed", "light" if scheme == "dark" else "dark", width, problems)
    return captions


install()
os.makedirs(shots, exist_ok=True)
copy = shutil.copytree(result, f"{work}/result")
os.remove(f"{copy}/report.html")
subprocess.run([bench, "report", copy], check=True, stdout=subprocess.DEVNULL)
page, problems = Page(), []
try:
    captions = check(page, f"{copy}/report.html", problems)
finally:
    page.browser.terminate()
    page.browser.wait(60)
for beginning in ["Latency by share", "CPU, s/GB", "Warm-up: CPU per request", "Requests per second, warm-up included"]:
    if not any(caption.startswith(beginning) for caption in captions):
        problems.append(f"no chart '{beginning}...'")
print("\n".join(problems) or f"nothing on the console, each chart with ink; screenshots: {os.path.relpath(shots)}")
sys.exit(bool(problems))
