"use strict";
const byId = (id) => document.getElementById(id);

// What users named themselves only ever becomes text or the value of an attribute, never markup.
const element = (name, properties = {}, children = []) => {
  const made = Object.assign(document.createElement(name), properties);
  made.append(...children);
  return made;
};
const number = (value) =>
  value === null || value === undefined ? "-" : Math.abs(value) < 1000 ? String(+value.toPrecision(3)) : value.toFixed(0);
const contains = (text, part) => text.toLowerCase().includes(part.trim().toLowerCase());
