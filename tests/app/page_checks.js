// The body of a function that lists what is wrong with the page as it stands for somebody who
// listens to it, uses its keyboard, sees little contrast, or has a narrow screen.
const wrong = [];
const visible = (element) => element.checkVisibility({ visibilityProperty: true });
const all = (selector) => [...document.querySelectorAll(selector)].filter(visible);
const name = (element) => element.outerHTML.slice(0, 80);
const tell = (what, elements) => wrong.push(...elements.map((element) => `${what}: ${name(element)}`));

const labelled = (element) =>
  element.getAttribute("aria-label") ||
  element.textContent.trim() ||
  [...(element.labels ?? [])].some((label) => label.textContent.trim());
tell("no name", all("button, [role=region], [role=group], form").filter((each) => !labelled(each)));
tell("no label", all("input, select, textarea").filter((each) => ![...each.labels].some((l) => l.textContent.trim())));
tell("a fieldset without a legend", all("fieldset").filter((each) => !each.querySelector(":scope > legend")?.textContent.trim()));

const ids = [...document.querySelectorAll("[id]")].map((element) => element.id);
wrong.push(...ids.filter((id, at) => ids.indexOf(id) !== at).map((id) => `twice: id ${id}`));
for (const attribute of ["aria-describedby", "aria-labelledby", "for"]) {
  for (const element of document.querySelectorAll(`[${attribute}]`)) {
    const missing = element.getAttribute(attribute).split(" ").filter((id) => !document.getElementById(id));
    if (missing.length) wrong.push(`${attribute} leads nowhere: ${missing}`);
  }
}

const levels = all("h1, h2, h3, h4, h5, h6").map((heading) => Number(heading.tagName[1]));
if (levels.filter((level) => level === 1).length !== 1 || levels[0] !== 1) wrong.push("not one h1, first");
if (levels.some((level, at) => at && level > levels[at - 1] + 1)) wrong.push(`a heading's level is left out: ${levels}`);
tell("a heading without text", all("h1, h2, h3, h4, h5, h6").filter((each) => !each.textContent.trim()));
if (all("main").length !== 1) wrong.push("not one main");
if (!document.documentElement.lang || !document.title) wrong.push("no language or title");

tell("a header cell without scope", all("th").filter((each) => !each.hasAttribute("scope")));
tell("a picture without words", all("svg").filter((each) => !each.closest("[aria-hidden=true]")));
tell("an order of its own", all("[tabindex]").filter((each) => each.tabIndex > 0));
tell("scrolls, but not by keyboard", all("div").filter((each) => each.scrollWidth > each.clientWidth + 1 && getComputedStyle(each).overflowX !== "visible" && each.tabIndex < 0));
tell("too small to hit", all("button, select, input:not([type=radio])").filter((each) => each.getBoundingClientRect().height < 24));

const width = document.documentElement.clientWidth;
if (document.documentElement.scrollWidth > width) wrong.push(`wider than the window: ${document.documentElement.scrollWidth}`);
tell("cut off", all("button, input, select, textarea, h1, h2, h3, p, td").filter((each) => {
  const box = each.getBoundingClientRect();
  return !each.closest(".scroll") && (box.right > width + 1 || box.left < -1);
}));

const canvas = Object.assign(document.createElement("canvas"), { width: 1, height: 1 }).getContext("2d", { willReadFrequently: true });
const pixel = (color) => {
  canvas.clearRect(0, 0, 1, 1);
  canvas.fillStyle = color;
  canvas.fillRect(0, 0, 1, 1);
  return [...canvas.getImageData(0, 0, 1, 1).data];
};
const luminance = ([red, green, blue]) => {
  const [r, g, b] = [red, green, blue].map((part) => {
    const share = part / 255;
    return share <= 0.04045 ? share / 12.92 : ((share + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * r + 0.7152 * g + 0.0722 * b;
};
const background = (element) => {
  for (let each = element; each; each = each.parentElement) {
    const color = pixel(getComputedStyle(each).backgroundColor);
    if (color[3] === 255) return color;
  }
  return [255, 255, 255, 255];
};
const contrast = (a, b) => {
  const [low, high] = [luminance(a), luminance(b)].sort((x, y) => x - y);
  return (high + 0.05) / (low + 0.05);
};
const written = all("body *").filter((element) =>
  [...element.childNodes].some((node) => node.nodeType === Node.TEXT_NODE && node.textContent.trim()) || element.matches("input, select, textarea"));
let least = Infinity;
for (const element of written) {
  if (element.matches("option, input[type=radio]")) continue;
  const found = contrast(pixel(getComputedStyle(element).color), background(element));
  least = Math.min(least, found);
  if (found < 4.5) wrong.push(`contrast ${found.toFixed(2)}: ${name(element)}`);
}
for (const element of all("rect:not(.track), line")) {
  const color = pixel(getComputedStyle(element).stroke);
  const found = contrast(color, background(element));
  if (color[3] !== 255 || found < 3) wrong.push(`contrast ${found.toFixed(2)}: ${name(element)}`);
}
for (const element of all("input:not([type=radio]):not([type=file]), select, textarea, .switch span")) {
  const found = contrast(pixel(getComputedStyle(element).borderTopColor), background(element.parentElement.closest(".field") ?? element.parentElement));
  if (found < 3) wrong.push(`contrast of a border ${found.toFixed(2)}: ${name(element)}`);
}
return { wrong: [...new Set(wrong)], texts: written.length, least };
