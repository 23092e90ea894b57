// Opens files and examples, and asks what a file does not say.
import { make } from "./player/controls.js";

const QUESTIONS = {
  unit: "does not say the unit of its lengths. Which is it?",
  up: "does not say which of its axes points up. Which does?",
  rate: "does not say how many frames it has in a second. How many?",
};
const by = (id) => document.getElementById(id);

export class Opening {
  // attempt(words, work), opened({title, answer, signal}) and model() are the page's; choose(name) chooses a model.
  constructor(server, page) {
    Object.assign(this, { server, page, last: null });
    this.form = by("settings").querySelector("form");
    by("file").addEventListener("change", () => {
      this.open([...by("file").files]);
      by("file").value = "";
    });
    this.form.addEventListener("submit", (event) => {
      event.preventDefault();
      this.again();
    });
    document.addEventListener("dragover", (event) => {
      event.preventDefault();
      document.body.classList.add("over");
    });
    document.addEventListener("dragleave", (event) => { if (!event.relatedTarget) document.body.classList.remove("over"); });
    document.addEventListener("drop", (event) => {
      event.preventDefault();
      document.body.classList.remove("over");
      this.open([...event.dataTransfer.files]);
    });
  }

  offer(examples) { // and opens the first, so that there is something to see
    by("examples").hidden = !examples.length;
    by("examples").querySelector("ul").replaceChildren(...examples.map((example) => {
      const button = make("button", { type: "button", "aria-pressed": "false" }, example.title);
      button.addEventListener("click", () => this.example(example, button));
      return make("li", {}, button);
    }));
    if (this.last) this.again();
    else if (examples.length) by("examples").querySelector("button").click();
  }

  example(example, button) {
    if (example.package) this.page.choose(example.package);
    this.last = null;
    by("settings").hidden = true;
    this.#press(button);
    this.page.attempt(`Opening ${example.title} …`, async (signal) => {
      await this.page.opened({ title: example.title, answer: await this.server.example(example.name), signal });
    });
  }

  open(files) {
    if (!files.length) return;
    const ending = (name) => name.split(".").at(-1);
    if (ending(this.last?.at(0).name ?? "") !== ending(files[0].name)) this.form.reset(); // answers are kept for files of the same kind
    this.last = files;
    this.again();
  }

  // Reads the files that were opened last, as the form and the model are now; without files, the page forecasts what it has.
  again() {
    if (!this.page.model()) return; // `offer` comes back to it
    if (!this.last) return this.page.afresh();
    const files = this.last, title = files.map((file) => file.name).join(", ");
    const options = { ...Object.fromEntries(new FormData(this.form)), package: this.page.model().package };
    by("settings").hidden = false;
    this.#settle();
    this.#press(null);
    this.page.attempt(`Reading ${title} …`, async (signal) => {
      await this.page.opened({ title, answer: await this.server.read(files, options, signal), signal });
      by("settings").open = false;
    });
  }

  // Whether the error is a question that a person can answer here.
  ask({ missing }) {
    const field = missing && this.last && this.form.elements.namedItem(missing);
    if (!field) return false;
    by("settings").open = true;
    by("question").textContent = `${this.last[0].name} ${QUESTIONS[missing]}`;
    field.setAttribute("aria-invalid", "true");
    field.focus();
    return true;
  }

  #settle() {
    by("question").textContent = "";
    for (const field of this.form.elements) field.removeAttribute("aria-invalid");
  }

  #press(button) {
    for (const each of by("examples").querySelectorAll("button")) each.setAttribute("aria-pressed", String(each === button));
  }
}
