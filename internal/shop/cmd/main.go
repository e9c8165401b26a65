// Command cmd writes the events of an imaginary shop in one month, and scores the
// session ids in such files against what people really did.
//
//	go run ./internal/shop/cmd -users 200000 -events 5000000 -seed 1 -o month.jsonl.gz
//	go run ./internal/shop/cmd score [-kinds] month.jsonl.gz adopted.jsonl.gz
//
// A file whose name ends in .gz is compressed; - is the standard output or input.
// What is read may be compressed or not.
package main

import (
	"bufio"
	"errors"
	"flag"
	"fmt"
	"io"
	"log"
	"os"
	"path/filepath"
	"strings"

	"github.com/klauspost/compress/gzip"

	"github.com/rudder-session/rudder-session/internal/shop"
)

func main() {
	log.SetFlags(0)
	var err error
	if len(os.Args) > 1 && os.Args[1] == "score" {
		err = score(os.Args[2:])
	} else {
		err = generate(os.Args[1:])
	}
	if err != nil {
		log.Fatal(err)
	}
}

func generate(args []string) error {
	flags := flag.NewFlagSet("shop", flag.ExitOnError)
	var o shop.Options
	flags.IntVar(&o.Users, "users", 2000, "how many people visit the shop")
	flags.IntVar(&o.Events, "events", 50_000, "how many events, within a few percent")
	flags.Uint64Var(&o.Seed, "seed", 1, "of the random numbers: the same has the same result")
	name := flags.String("o", "-", "file to write, - for the standard output")
	_ = flags.Parse(args) // it exits on an error
	if flags.NArg() > 0 {
		return fmt.Errorf("%q: unexpected argument", flags.Arg(0))
	}
	lines, err := write(*name, o)
	if err != nil {
		return err
	}
	log.Printf("%d lines", lines)
	return nil
}

func write(name string, o shop.Options) (lines int64, err error) {
	if name == "-" {
		return shop.Generate(os.Stdout, o)
	}
	file, err := os.Create(name)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, file.Close()) }()
	if !strings.HasSuffix(name, ".gz") {
		return shop.Generate(file, o)
	}
	zip, err := gzip.NewWriterLevel(file, 3)
	if err != nil {
		return 0, err
	}
	lines, err = shop.Generate(zip, o)
	return lines, errors.Join(err, zip.Close())
}

func score(args []string) error {
	flags := flag.NewFlagSet("score", flag.ExitOnError)
	byKind := flags.Bool("kinds", false, "a row for each kind of device as well")
	_ = flags.Parse(args) // it exits on an error
	if flags.NArg() == 0 {
		return errors.New("score: name the files to score")
	}
	if err := shop.TableHead(os.Stdout); err != nil {
		return err
	}
	for _, name := range flags.Args() {
		scores, err := read(name)
		if err != nil {
			return fmt.Errorf("%s: %w", name, err)
		}
		if scores.Foreign > 0 {
			log.Printf("%s: %d lines are no event of this shop", name, scores.Foreign)
		}
		if err := scores.Total.TableRow(os.Stdout, filepath.Base(name)); err != nil {
			return err
		}
		for kind := range scores.Kinds {
			if !*byKind {
				break
			}
			if err := scores.Kinds[kind].TableRow(os.Stdout, shop.Kind(kind).String()); err != nil {
				return err
			}
		}
	}
	return nil
}

func read(name string) (*shop.Scores, error) {
	file := os.Stdin
	if name != "-" {
		var err error
		if file, err = os.Open(name); err != nil {
			return nil, err
		}
		defer file.Close()
	}
	in := bufio.NewReaderSize(file, 1<<16)
	if head, _ := in.Peek(2); len(head) == 2 && head[0] == 0x1f && head[1] == 0x8b {
		zip, err := gzip.NewReader(in)
		if err != nil {
			return nil, err
		}
		return shop.ScoreLines(zip)
	}
	return shop.ScoreLines(io.Reader(in))
}
